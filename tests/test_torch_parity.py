"""The classics take PyTorch's steps, in float64, where both mean the same algorithm."""

import json
import runpy
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from parity import along_steps, error_to_trajectory
from trees import enable_x64, worst

import gradchain as gc

REFERENCE = json.loads((Path(__file__).parent / "references" / "torch.json").read_text())
NAMES = {case["name"]: case for case in REFERENCE["cases"]}


# The L2 cases put the decay before the rule on purpose, which `chain` warns of.
@pytest.mark.filterwarnings("ignore:.*as an L2 penalty would be")
@pytest.mark.parametrize("name", NAMES)
def test_takes_the_steps_of_pytorch(name: str):
    assert error_to_trajectory(REFERENCE, NAMES[name]) <= 1e-9


def test_the_file_holds_what_its_script_says():
    """The table in `make_torch.py` was not edited without writing the file anew."""
    script = runpy.run_path(str(Path(__file__).parent / "references" / "make_torch.py"))
    params, grads = script["problem"]()
    assert params == REFERENCE["params"]
    assert grads == REFERENCE["grads"]
    written = [{k: v for k, v in case.items() if k != "trajectory"} for case in NAMES.values()]
    assert written == [case._asdict() for case in script["CASES"]]


def test_the_steps_are_long_enough_to_tell_rules_apart():
    """No two cases that differ end in the same place, and every parameter moves."""
    ends = {name: np.asarray(case["trajectory"][-1]["vector"]) for name, case in NAMES.items()}
    for name, end in ends.items():
        assert np.all(np.abs(end - np.asarray(REFERENCE["params"]["vector"])) > 1e-6), name
        assert not any(np.allclose(end, other, rtol=1e-6) for key, other in ends.items() if key != name), (
            name
        )


CLOSURES = json.loads((Path(__file__).parent / "references" / "torch_closures.json").read_text())


def test_lbfgs_without_a_line_search_takes_the_steps_of_pytorch() -> None:
    with enable_x64():
        x, c = jnp.asarray(CLOSURES["start"]), jnp.asarray(CLOSURES["curvatures"])
        tx = gc.lbfgs(0.5, memory_size=4, linesearch=None)
        state, visited = tx.init(x), []
        for _ in CLOSURES["lbfgs"]:
            updates, state = tx.update(c * x + x**3 / 25, state, x)
            x = gc.apply_updates(x, updates)
            visited.append([x])
        expected = [[np.asarray(step)] for step in CLOSURES["lbfgs"]]
        assert worst(along_steps(visited), along_steps(expected)) <= 1e-9


def test_the_first_step_of_muon_is_pytorch_s() -> None:
    grad = {"w": jnp.asarray(CLOSURES["grad"])}
    tx = gc.muon(0.1)
    updates, _ = tx.update(grad, tx.init(grad), grad)
    np.testing.assert_allclose(updates["w"], np.asarray(CLOSURES["muon"]), atol=2e-3)  # of 0.1
