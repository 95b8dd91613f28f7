"""Writes `field.json`: what packages of optimizers newer than Optax's do, in float64.

Run with the packages installed (`pip install torch pytorch_optimizer`):
`python tests/references/make_field.py`. The tests read only the file. Problem and table are as in
`make_torch.py`; matrices are given transposed to packages that count channels by the first axis.
Every `make_field_*.py` is such a script, with a table and a file of its own.
"""

import importlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from make_torch import lines, problem

FILE = Path(__file__).with_name("field.json")
STEPS = 10


class Case(NamedTuple):
    """An optimizer of a package, and gradchain's words for it."""

    name: str
    package: str  # "pytorch_optimizer" or "torch.optim"
    optimizer: str  # the class in it
    arguments: dict[str, Any]  # of that class
    gradchain: str  # an expression over gradchain's public names
    note: str = ""  # the convention that differs, if one does
    error: float = 2e-8  # the largest relative error; more where the package computes in low precision


PO = "pytorch_optimizer"
BETAS = [0.8, 0.95]
CASES = [
    Case("laprop", PO, "LaProp", {"lr": 0.01, "betas": BETAS, "eps": 1e-15}, "laprop(0.01, 0.8, 0.95)"),
    Case("grams", PO, "Grams", {"lr": 0.01, "betas": BETAS}, "grams(0.01, 0.8, 0.95)"),
    Case(
        "qhadam",
        PO,
        "QHAdam",
        {"lr": 0.01, "betas": BETAS, "nus": [0.7, 0.9]},
        "qhadam(0.01, 0.8, 0.95, 0.7, 0.9)",
    ),
    Case("qhm", PO, "QHM", {"lr": 0.01, "momentum": 0.9, "nu": 0.7}, "qhm(0.01, 0.9, 0.7)"),
    Case("aggmo", PO, "AggMo", {"lr": 0.01}, "aggmo(0.01)"),
    Case(
        "adabound",
        PO,
        "AdaBound",
        {"lr": 0.01, "final_lr": 0.05, "gamma": 0.1},
        "adabound(0.01, final_lr=0.05, gamma=0.1)",
    ),
    Case(
        "adamp",
        PO,
        "AdamP",
        {"lr": 0.01, "betas": BETAS, "delta": 1.0, "wd_ratio": 0.5, "weight_decay": 0.1, "eps": 1e-12},
        "adamp(0.01, 0.8, 0.95, 1e-12, 1.0, 0.5, 0.1)",
        "The package adds eps before the bias correction, the authors' code and gradchain after it: here "
        "it is too small to matter.",
    ),
    Case(
        "adamp_nesterov",
        PO,
        "AdamP",
        {"lr": 0.01, "betas": BETAS, "nesterov": True, "eps": 1e-12},
        "adamp(0.01, 0.8, 0.95, 1e-12, nesterov=True)",
    ),
    Case(
        "sgdp",
        PO,
        "SGDP",
        {"lr": 0.01, "momentum": 0.8, "delta": 1.0, "wd_ratio": 0.5, "weight_decay": 0.1, "nesterov": True},
        "sgdp(0.01, 0.8, delta=1.0, wd_ratio=0.5, weight_decay=0.1)",
    ),
    Case(
        "ftrl",
        PO,
        "FTRL",
        {"lr": 0.1, "beta": 1.0, "lambda_1": 0.1, "lambda_2": 0.2},
        "ftrl(0.1, 0.1, 0.2, 1.0, 0.0, keep_start=False)",
        "The package begins at z = 0 and n = 0.",
    ),
    Case(
        "asgd",
        "torch.optim",
        "ASGD",
        {"lr": 0.01, "lambd": 0.1, "alpha": 0.5, "t0": 2},
        "asgd(0.01, 0.1, 0.5, 2.0)",
    ),
]


def optimizer_of(case: Case, given: dict[str, Any] | list[Any]) -> Any:
    """The package's optimizer of these parameters by name, or of a list of groups."""
    factory = getattr(importlib.import_module(case.package), case.optimizer)
    groups = list(given.values()) if isinstance(given, dict) else given
    return factory(groups, **arguments_of(case))


def arguments_of(case: Case) -> dict[str, Any]:
    """Its arguments, with tuples for JSON's lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in case.arguments.items()}


def step(optimizer: Any, tensors: dict[str, Any]) -> None:
    """One step, with the gradients that the parameters have."""
    optimizer.step()


def trajectory(
    case: Case,
    params: dict[str, Any],
    grads: list[dict[str, Any]],
    make: Any = optimizer_of,
    step: Any = step,
) -> list[Any]:
    """The parameters after each step."""
    import torch

    def given(value: Any) -> Any:
        tensor = torch.tensor(value, dtype=torch.float64)
        return tensor.T.contiguous() if tensor.ndim == 2 else tensor

    tensors = {k: torch.nn.Parameter(given(v)) for k, v in params.items()}
    optimizer = make(case, tensors)
    visited = []
    for grad in grads:
        for name, tensor in tensors.items():
            tensor.grad = given(grad[name])
        step(optimizer, tensors)
        visited.append({k: (x.T if x.ndim == 2 else x).tolist() for k, x in tensors.items()})
    return visited


def write(file: Path, cases: Sequence[Case], **hooks: Any) -> None:
    """Writes a file: versions, the problem, each case's trajectory; `hooks` are those of `trajectory`."""
    import torch

    torch.set_default_dtype(torch.float64)
    params, grads = problem()
    grads = grads[:STEPS]
    packages = {case.package.partition(".")[0] for case in cases} | {"torch"}
    installed = packages & set(importlib.metadata.packages_distributions())  # others are authors' files
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in sorted(installed)}
    made = [
        json.dumps(case._asdict())[:-1]
        + ', "trajectory": '
        + lines(trajectory(case, params, grads, **hooks))
        + "}"
        for case in cases
    ]
    file.write_text(
        f'{{"versions": {json.dumps(versions)},\n"params": {json.dumps(params)},\n'
        f'"grads": {lines(grads)},\n"cases": [\n' + ",\n".join(made) + "\n]}\n"
    )


if __name__ == "__main__":
    write(FILE, CASES)
