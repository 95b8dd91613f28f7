"""States of PyTorch's optimizers are taken over, and ten further steps are PyTorch's."""

import copy
import json
import runpy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import along_steps
from trees import enable_x64, worst

import gradchain as gc
from gradchain.tools import CheckpointError

FOLDER = Path(__file__).parent / "references"
REFERENCE = json.loads((FOLDER / "torch_states.json").read_text())
CASES = {case["name"]: case for case in REFERENCE["cases"]}
AXES = {"matrix": (1, 0)}  # the tests have PyTorch's matrices transposed, as Flax has


def ours(tree: dict[str, Any]) -> dict[str, Any]:
    """PyTorch's arrays as gradchain has them."""
    return {k: jnp.asarray(np.asarray(v, np.float64).T) for k, v in tree.items()}


def transformation(case: dict[str, Any]) -> Any:
    return eval(case["gradchain"], dict(vars(gc)))


def goes_on(case: dict[str, Any], state: Any) -> tuple[float, Any]:
    """The worst relative error of the parameters over ten further steps, and the last state."""
    tx = transformation(case)
    step = jax.jit(tx.step)
    params, visited = ours(case["trajectory"][0]), []
    for grads in REFERENCE["grads"]:
        params, state = step({k: v for k, v in ours(grads).items() if k in params}, state, params)
        visited.append(jax.tree.leaves(params))
    expected = [jax.tree.leaves(ours(p)) for p in case["trajectory"][1:]]
    return worst(along_steps(visited), along_steps(expected)), state


def taken_over(case: dict[str, Any], key: str = "state", **changes: Any) -> Any:
    start = ours(case["trajectory"][0])
    return gc.from_pytorch(transformation(case), start, case[key], **({"axes": AXES} | changes))


# The L2 cases put the decay before the rule on purpose, which `chain` warns of.
l2 = pytest.mark.filterwarnings("ignore:.*as an L2 penalty would be")


@l2
@pytest.mark.parametrize("name", CASES)
def test_ten_further_steps_are_pytorch_s(name: str) -> None:
    case = CASES[name]
    rounding = 1e-2 if name == "muon" else 1e-12  # PyTorch's Muon iterates in bfloat16
    with enable_x64():
        error, last = goes_on(case, taken_over(case))
        assert error <= rounding
        if name != "sgd":  # which has no state
            fresh, _ = goes_on(case, transformation(case).init(ours(case["trajectory"][0])))
            assert fresh > 5 * rounding  # the state matters
        if name != "muon":  # whose count stands for PyTorch's
            expected = taken_over(case, "last")
            assert worst(last, expected) <= 1e-12
        else:
            momentum = last.inner_states["muon"].inner_state[0].mu["matrix"]
            expected = np.asarray(case["last"]["state"]["0"]["momentum_buffer"]).T
            np.testing.assert_allclose(momentum, expected, rtol=1e-12)


def test_the_file_holds_what_its_script_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    script = runpy.run_path(str(FOLDER / "make_torch_states.py"))
    _, grads = script["problem"]()
    assert REFERENCE["grads"] == grads[script["BEFORE"] : script["BEFORE"] + script["AFTER"]]
    written = [{key: case[key] for key in script["Case"]._fields} for case in CASES.values()]
    assert written == [case._asdict() for case in script["STATES"]]


def test_all_ten_optimizers_are_tried() -> None:
    tried = {case["torch"] for case in CASES.values()}
    named = "SGD Adam AdamW RMSprop Adagrad Adadelta NAdam RAdam Adamax Muon"
    assert tried == set(named.split())


def unnamed(state: dict[str, Any]) -> dict[str, Any]:
    """A state as PyTorch writes it for an optimizer that was made with `parameters()`."""
    groups = [{k: v for k, v in g.items() if k != "param_names"} for g in state["param_groups"]]
    return {**state, "param_groups": groups}


def test_parameters_are_found_by_name_number_and_order() -> None:
    case = CASES["adam"]
    expected = taken_over(case)
    by_number = {"matrix": 0, "vector": 1, "scalar": 2}
    by_name = {"matrix": "matrix", "vector": "vector", "scalar": "scalar"}
    for given, names in [
        (case["state"], by_name),
        (case["state"], by_number),
        (unnamed(case["state"]), by_number),
    ]:
        state = gc.from_pytorch(gc.adam(0.01), ours(case["trajectory"][0]), given, names, axes=AXES)
        assert worst(state, expected) == 0
    tree = ours(case["trajectory"][0])
    in_order = [tree["matrix"], tree["vector"], tree["scalar"]]
    state = gc.from_pytorch(gc.adam(0.01), in_order, unnamed(case["state"]), axes={"0": (1, 0)})
    assert worst(state[0].mu[0], expected[0].mu["matrix"]) == 0


def test_dotted_names_are_those_of_nested_parameters() -> None:
    case = copy.deepcopy(CASES["adamw"])
    expected = taken_over(case)
    case["state"]["param_groups"][0]["param_names"] = ["net.matrix", "net.vector", "scalar"]
    p = ours(case["trajectory"][0])
    nested = {"net": {"matrix": p["matrix"], "vector": p["vector"]}, "scalar": p["scalar"]}
    state = gc.from_pytorch(gc.adamw(0.01), nested, case["state"], axes={"net/matrix": (1, 0)})
    assert worst(state[0].nu["net"]["matrix"], expected[0].nu["matrix"]) == 0


def test_a_chain_with_a_schedule_goes_on_at_the_steps_taken() -> None:
    case = CASES["adam"]
    decay = gc.linear_schedule(1.0, 0.0, 10)
    tx = gc.chain(gc.clip(9.0), gc.apply_if_finite(gc.adam(decay), 3), gc.ema(0.9))
    state = gc.from_pytorch(tx, ours(case["trajectory"][0]), case["state"], axes=AXES)
    assert float(gc.hyperparams(tx, state)["adam.learning_rate"]) == pytest.approx(0.5)  # after 5 steps
    assert int(state[1].inner_state[0].count) == 5
    assert int(state[2].count) == 0  # an average that begins anew


def test_muon_and_the_adamw_beside_it_come_from_two_optimizers() -> None:
    muon, adam = CASES["muon"]["state"], CASES["adamw"]["state"]
    p = ours(CASES["adamw"]["trajectory"][0])
    tx = gc.muon(gc.linear_schedule(1.0, 0.0, 10))
    first = gc.from_pytorch(tx, p, muon, {"matrix": "matrix"}, axes=AXES, steps=5)
    rest = copy.deepcopy(adam)
    rest["state"].pop("0")
    both = gc.from_pytorch(tx, p, rest, {"vector": "vector", "scalar": "scalar"}, state=first)
    inner = both.inner_states
    np.testing.assert_allclose(
        inner["muon"].inner_state[0].mu["matrix"].T, muon["state"]["0"]["momentum_buffer"]
    )
    np.testing.assert_allclose(inner["adam"].inner_state[0].mu["vector"], adam["state"]["1"]["exp_avg"])
    assert int(inner["adam"].inner_state[0].count) == 5
    assert [int(inner[group].inner_state[-1].count) for group in inner] == [5, 5]


@pytest.mark.parametrize(
    ("name", "tx", "changes", "text"),
    [
        ("adam", "sgd(0.1, 0.9)", {}, r"has exp_avg for matrix, for which sgd\(.*\) keeps no mu"),
        ("adam", "amsgrad(0.1)", {}, r"nothing for amsgrad/nu_max/matrix, only exp_avg, exp_avg_sq"),
        ("amsgrad", "adam(0.1)", {}, r"has max_exp_avg_sq for matrix.*keeps no nu_max"),
        ("adam", "adam(0.1)", {"axes": None}, r"adam/mu/matrix has shape \(2, 3\), in PyTorch \(3, 2\)"),
        ("adam", "adam(0.1)", {"axes": {"matrix": (2, 0)}}, r"axes \(2, 0\) do not fit adam/mu/matrix"),
        ("adam", "adam(0.1)", {"axes": {"matrx": (1, 0)}}, "no parameter.*Did you mean 'matrix'"),
        ("adam", "adam(0.1)", {"names": {"matrix": "matrix"}}, "names lacks PyTorch's vector, scalar"),
        (
            "adam",
            "adam(0.1)",
            {"names": {"matrix": "matrx"}},
            "no parameter 'matrx'. Did you mean 'matrix'",
        ),
        ("adam", "adam(0.1)", {"names": {"m": 0}}, "names has 'm', which is no parameter"),
        ("adam", "adam(0.1)", {"names": {"matrix": 7}}, "has no parameter 7"),
        (
            "adam",
            "adam(0.1)",
            {"names": {"matrix": 0, "vector": 1, "scalar": 2}, "axes": {"vector": (0,)}},
            "in PyTorch",
        ),
    ],
)
def test_what_does_not_fit_is_named(name: str, tx: str, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(CheckpointError, match=text):
        gc.from_pytorch(
            eval(tx, dict(vars(gc))),
            ours(CASES[name]["trajectory"][0]),
            CASES[name]["state"],
            **({"axes": AXES} | changes),
        )


def changed(name: str, change: Any) -> dict[str, Any]:
    state = copy.deepcopy(CASES[name]["state"])
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("param_groups"), "no state_dict of an optimizer"),
        (lambda d: d["state"]["1"].update(step=6.0), "PyTorch counts steps for each parameter, here 5, 6"),
        (lambda d: d["state"]["1"].update(slow_buffer=[0.0]), "slow_buffer, which is of none of SGD"),
        (lambda d: d["state"].pop("1"), "nothing for adam/mu/vector"),
        (lambda d: d["param_groups"][0].pop("param_names"), r"adam/mu/scalar has shape \(\), in PyTorch"),
    ],
)
def test_a_wrong_state_dict_is_refused(change: Any, text: str) -> None:
    state, p = changed("adam", change), ours(CASES["adam"]["trajectory"][0])
    with pytest.raises(CheckpointError, match=text):
        gc.from_pytorch(gc.adam(0.1), p, state, axes=AXES)


@pytest.mark.parametrize(
    ("name", "setting", "text"),
    [
        ("sgd_momentum", {"dampening": 0.5}, "dampening 0.5"),
        ("sgd_momentum", {"maximize": True}, "negative gradients"),
        ("nadam", {"betas": [0.5, 0.999]}, "warms its momentum up"),
    ],
)
def test_settings_that_lead_elsewhere_are_warned_of(name: str, setting: dict[str, Any], text: str) -> None:
    case = copy.deepcopy(CASES[name])
    case["state"]["param_groups"][0].update(setting)
    with pytest.warns(UserWarning, match=text):
        taken_over(case)


def test_real_tensors_are_taken() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed; the tests above read its states")
    weight = torch.ones(3, 2, dtype=torch.bfloat16, requires_grad=True)
    optimizer = torch.optim.Adam([("w", weight)], lr=0.1)
    (weight.sum() * 2).backward()
    optimizer.step()
    state = gc.from_pytorch(
        gc.adam(0.1), {"w": jnp.ones((2, 3))}, optimizer.state_dict(), axes={"w": (1, 0)}
    )
    np.testing.assert_allclose(state[0].mu["w"], np.full((2, 3), 0.2), rtol=1e-2)
    assert int(state[0].count) == 1
