"""Optimizers take Keras's steps, in float64, where both mean the same algorithm."""

import json
import runpy
from pathlib import Path

import pytest
from parity import error_to_trajectory

FOLDER = Path(__file__).parent / "references"
REFERENCE = json.loads((FOLDER / "keras.json").read_text())
NAMES = {case["name"]: case for case in REFERENCE["cases"]}
FLOAT32 = {"cosine_decay"}  # Keras computes this schedule in float32


@pytest.mark.parametrize("name", NAMES)
def test_takes_the_steps_of_keras(name: str):
    error = error_to_trajectory(REFERENCE, NAMES[name])
    assert error <= (1e-6 if name in FLOAT32 else 2e-9)


def test_the_file_holds_what_its_script_says(monkeypatch: pytest.MonkeyPatch):
    """The table in `make_keras.py` was not edited without writing the file anew."""
    monkeypatch.syspath_prepend(str(FOLDER))
    script = runpy.run_path(str(FOLDER / "make_keras.py"))
    params, grads = script["problem"]()
    assert params == REFERENCE["params"]
    assert grads[: script["STEPS"]] == REFERENCE["grads"]
    written = [{k: v for k, v in case.items() if k != "trajectory"} for case in NAMES.values()]
    assert written == [case._asdict() for case in script["CASES"]]


def test_no_two_cases_end_in_the_same_place():
    """The problem tells the cases apart, so that a wrong argument is found."""
    ends = [case["trajectory"][-1]["vector"] for case in NAMES.values()]
    assert all(a != b for i, a in enumerate(ends) for b in ends[:i])
