"""Writes `field_sharpness.json`: what packages do with MARS, Scion and Hyperball, in float64.

`python tests/references/make_field_sharpness.py`, with pytorch_optimizer and heavyball installed. Their
Newton-Schulz iterations run in bfloat16 as published; here the same code is told to run in float64.
"""

import functools
from pathlib import Path
from typing import Any

from make_field import BETAS, Case, optimizer_of, write

FILE = Path(__file__).with_name("field_sharpness.json")
PO = "pytorch_optimizer"
IN_DOUBLE = "The package's Newton-Schulz iterations, in float64."
EPS = "The package adds 1e-15 to the second moment, and eps before the bias correction; the authors do not."
NORMS = {"spectral": 2, "sign": 4, "bias_rms": 5, "column": 6, "row": 7}
"""The package's numbers of norms."""

CASES = [
    Case(
        "mars",
        PO,
        "MARS",
        {"lr": 0.01, "betas": BETAS, "gamma": 0.1, "weight_decay": 0.1, "lr_1d": 0.02, "eps": 1e-15},
        "mars(0.01, 0.8, 0.95, 1e-15, 0.1, weight_decay=0.1, adam_learning_rate=0.02)",
        EPS,
        1e-7,
    ),
    Case(
        "mars_1d",
        PO,
        "MARS",
        {"lr": 0.01, "betas": BETAS, "weight_decay": 0.1, "optimize_1d": True, "eps": 1e-15},
        "mars(0.01, 0.8, 0.95, 1e-15, weight_decay=0.1, optimize_1d=True)",
        EPS,
        1e-7,
    ),
    Case(
        "mars_lion",
        PO,
        "MARS",
        {"lr": 0.01, "betas": BETAS, "mars_type": "lion", "optimize_1d": True},
        "mars(0.01, 0.8, 0.95, form='lion', optimize_1d=True)",
    ),
    Case(
        "mars_shampoo",
        PO,
        "MARS",
        {
            "lr": 0.01,
            "betas": BETAS,
            "mars_type": "shampoo",
            "weight_decay": 0.1,
            "lr_1d": 0.01,
            "eps": 1e-15,
        },
        "mars(0.01, 0.8, 0.95, 1e-15, form='shampoo', weight_decay=0.1)",
        IN_DOUBLE,
    ),
    Case(
        "scion",
        PO,
        "SCION",
        {"lr": 0.01, "momentum": 0.2, "constraint": True, "scale": 3.0},
        "scion(0.01, 0.2, scale=3.0)",
        IN_DOUBLE,
    ),
    Case(
        "scion_unconstrained",
        PO,
        "SCION",
        {"lr": 0.01, "momentum": 0.2, "scale": 3.0, "weight_decay": 0.1},
        "scion(0.01, 0.2, scale=3.0, unconstrained=True, weight_decay=0.1)",
        IN_DOUBLE,
    ),
    *(
        Case(
            f"scion_{norm}",
            PO,
            "SCION",
            {"lr": 0.01, "momentum": 0.2, "constraint": True, "norm_type": NORMS[norm]},
            f"scion(0.01, 0.2, {{'matrix': {norm!r}, '.*': 'bias_rms'}})",
            "Vectors and scalars have the norm BiasRMS.",
        )
        for norm in ("sign", "row", "column")
    ),
    Case(
        "hyperball",
        "heavyball",
        "HyperBallAdamW",
        {"lr": 0.05, "betas": [0.0, 0.95], "eps": 1e-30},
        "hyperball(rmsprop(0.05, 0.95, 0, eps_in_sqrt=False, bias_correction=True), 0.05, keep='initial')",
        "The package's AdamW has no first moment; its rates are float32.",
        2e-7,
    ),
]


def double() -> None:
    """Newton-Schulz iterations in float64."""
    import pytorch_optimizer.optimizer.mars as mars
    import pytorch_optimizer.optimizer.scion as scion
    import torch

    for module in (mars, scion):
        iterate = module.zero_power_via_newton_schulz_5
        module.zero_power_via_newton_schulz_5 = functools.partial(iterate, dtype=torch.float64)


def make(case: Case, tensors: dict[str, Any]) -> Any:
    """The package's optimizer; with a norm for matrices, of two groups of parameters."""
    if "norm_type" not in case.arguments:
        return optimizer_of(case, tensors)
    matrices = [x for x in tensors.values() if x.ndim == 2]
    rest = [x for x in tensors.values() if x.ndim < 2]
    return optimizer_of(case, [{"params": matrices}, {"params": rest, "norm_type": NORMS["bias_rms"]}])


if __name__ == "__main__":
    import heavyball

    heavyball.utils.compile_mode = None
    double()
    write(FILE, CASES, make=make)
