"""The optimizers that Optax lacks take the steps of the packages that have them."""

import runpy

import pytest
from field import FILES, FOLDER, NAMES, REFERENCES
from parity import error_to_trajectory


@pytest.mark.parametrize("name", NAMES)
def test_takes_the_steps_of_the_package(name: str) -> None:
    assert error_to_trajectory(REFERENCES[name], NAMES[name]) <= NAMES[name]["error"]


@pytest.mark.parametrize("file", FILES)
def test_the_file_holds_what_its_script_says(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    script = runpy.run_path(str(FOLDER / f"make_{file}.py"))
    written = [{k: v for k, v in case.items() if k != "trajectory"} for case in FILES[file]["cases"]]
    assert written == [case._asdict() for case in script["CASES"]]


def test_no_tolerance_lets_a_standing_start_pass() -> None:
    assert all(case["error"] <= 0.02 for case in NAMES.values())
    assert len(NAMES) == sum(len(file["cases"]) for file in FILES.values())
