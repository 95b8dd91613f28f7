"""Every optimizer is compared with something that is not Optax."""

import inspect
import re
from pathlib import Path

import field
import test_torch_parity as torch
from cases import CASES

import gradchain as gc

ELSEWHERE = {
    "dpsgd": "test_privacy.py::test_dpsgd_descends_along_the_noisy_mean",
    "mezo": "test_sharpness.py::test_steps_follow_the_paper",
    "spsa": "test_sharpness.py::test_steps_follow_the_paper",
    "lbfgs": "test_linesearch.py::test_minimize_ends_where_scipy_ends",
    "nnls": "test_paper_parity.py::test_nnls_finds_the_known_solution",
    "noisy_sgd": "test_paper_parity.py::test_noise_has_the_variance_of_the_schedule",
}
"""What is compared with SciPy, a known solution or a law of chance."""


def test_every_optimizer_has_a_reference_beside_optax() -> None:
    made = " ".join(case["gradchain"] for case in [*torch.NAMES.values(), *field.NAMES.values()])
    compared = {case.name for case in CASES if case.paper} | set(re.findall(r"\w+", made))
    optimizers = {
        name
        for name, x in vars(gc.optimizers).items()
        if inspect.isfunction(x) and "learning_rate" in inspect.signature(x).parameters
    } | {"lbfgs", "nnls"}
    rules = {name for name in optimizers if name.startswith("scale_by_")}
    compared |= {rule.removeprefix("scale_by_") for rule in compared}
    assert optimizers - rules - compared == set(ELSEWHERE)
    for test in ELSEWHERE.values():
        file, name = test.split("::")
        assert f"def {name}(" in (Path(__file__).parent / file).read_text()
