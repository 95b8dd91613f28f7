"""Writes `field_memory.json`: optimizers that save memory, withstand spikes or see curvature.

Run with the packages installed (`pip install torch pytorch_optimizer`, and with `--no-deps` adam-mini and
apollo-torch) beside JAX and gradchain: `python tests/references/make_field_memory.py`. See `make_field.py`.
"""

import importlib
import importlib.metadata
import sys
import types
from pathlib import Path
from typing import Any

from make_field import BETAS, PO, Case, arguments_of, optimizer_of, write

FILE = Path(__file__).with_name("field_memory.json")
KEY = 3

CASES = [
    Case(
        "came",
        PO,
        "CAME",
        {"lr": 0.01, "betas": [0.8, 0.95, 0.99], "weight_decay": 0.1},
        "came(0.01, 0.8, 0.95, 0.99, weight_decay=0.1)",
    ),
    Case(
        "came_clipped",
        PO,
        "CAME",
        {"lr": 0.01, "eps1": 1e-3, "eps2": 1e-2, "clip_threshold": 0.5},
        "came(0.01, eps1=1e-3, eps2=1e-2, clip_threshold=0.5)",
    ),
    Case(
        "adam_mini",
        "adam_mini",
        "Adam_mini",
        {
            "names": {"matrix": "mlp.weight", "vector": "norm.weight", "scalar": "bias"},
            "lr": 0.01,
            "betas": BETAS,
            "weight_decay": 0.1,
        },
        "adam_mini(0.01, 0.8, 0.95, blocks={'matrix': MeanBlocks(0), 'vector': MeanBlocks(), "
        "'scalar': None}, weight_decay=0.1)",
        "The authors' code.",
    ),
    Case(
        "adam_mini_heads",
        "adam_mini",
        "Adam_mini",
        {"names": {"matrix": "wq.weight", "vector": "bias", "scalar": "norm"}, "lr": 0.01}
        | {"dim": 6, "n_heads": 6},
        "adam_mini(0.01, blocks={'matrix': MeanBlocks(0, 1, 1), 'vector': None, 'scalar': MeanBlocks()})",
        "The authors' code; a head of six entries.",
    ),
    Case(
        "adahessian",
        PO,
        "AdaHessian",
        {"lr": 0.01, "betas": BETAS, "hessian_power": 0.5, "weight_decay": 0.1, "eps": 1e-4},
        "adahessian(0.01, 0.8, 0.95, hessian_power=0.5, weight_decay=0.1, "
        "hessian_diagonal_fn=stateless_with_tree_map(lambda g, p: 0.1 + g**2))",
        "The package gets 0.1 + g^2 for the Hessian's diagonal.",
    ),
    Case(
        "amos",
        PO,
        "Amos",
        {"lr": 0.1, "beta": 0.9, "momentum": 0.5},
        "amos(0.1, {'matrix': (2 / 3) ** 0.5, 'vector': 0.5, 'scalar': 0.5}, MeanBlocks(), 0.9, "
        "momentum=0.5)",
        "The package keeps one v for each array, where the authors' code keeps one for each entry.",
    ),
    Case(
        "apollo",
        "apollo_torch.apollo",
        "AdamW",
        {"lr": 0.01, "betas": BETAS, "weight_decay": 0.1}
        | {"rank": 2, "scale": 2.0, "scale_type": "channel", "update_proj_gap": 3},
        f"apollo(0.01, 0.8, 0.95, 1e-6, 2, 3, 2.0, key={KEY}, weight_decay=0.1)",
        "The authors' code, with gradchain's random projections. pytorch_optimizer scales the projected "
        "gradient and projects it back.",
    ),
    Case(
        "apollo_mini",
        "apollo_torch.apollo",
        "AdamW",
        {"lr": 0.01, "betas": BETAS}
        | {"rank": 1, "scale": 128.0, "scale_type": "tensor", "update_proj_gap": 4},
        f"apollo(0.01, 0.8, 0.95, 1e-6, 1, 4, 128.0, 'tensor', key={KEY})",
        "As for apollo.",
    ),
    Case(
        "ranger",
        PO,
        "Ranger",
        {"lr": 0.01, "betas": BETAS, "k": 3, "eps": 1e-12, "weight_decay": 0.1}
        | {"use_gc": False, "degenerated_to_sgd": True},
        "ranger(0.01, 0.8, 0.95, 1e-12, 3, use_gc=False, weight_decay=0.1)",
        "The package adds eps before debiasing. Not degenerated, its first steps go uphill.",
    ),
    Case(
        "spam",
        PO,
        "SPAM",
        {"lr": 0.01, "betas": BETAS, "weight_decay": 0.1, "threshold": 2.0}
        | {"update_proj_gap": 4, "warmup_epoch": 2, "grad_accu_steps": 2},
        "spam(0.01, 0.8, 0.95, 1e-6, 2.0, 4, 2, 2, weight_decay=0.1)",
        "With the dense masks that are the package's default.",
    ),
    Case(
        "spam_before_a_reset",
        PO,
        "SPAM",
        {"lr": 0.01, "betas": BETAS, "threshold": 1.5, "grad_accu_steps": 3},
        "spam(0.01, 0.8, 0.95, threshold=1.5, clip_after=3)",
    ),
    Case(
        "stable_spam",
        PO,
        "StableSPAM",
        {"lr": 0.01, "betas": BETAS, "weight_decay": 0.1, "theta": 0.9, "update_proj_gap": 4},
        "stable_spam(0.01, 0.8, 0.95, theta=0.9, reset_interval=4, weight_decay=0.1)",
        "The package's step at a reset has new moments, where the authors' code has the old ones.",
    ),
]


def adam_mini(case: Case, tensors: dict[str, Any]) -> Any:
    """The authors' optimizer, which goes by names."""
    arguments = arguments_of(case)
    names = arguments.pop("names")
    factory = importlib.import_module("adam_mini").Adam_mini
    return factory([(names[k], x) for k, x in tensors.items()], verbose=False, **arguments)


def apollo(case: Case, tensors: dict[str, Any]) -> Any:
    """The authors' optimizer, of which only what needs no other package is imported."""
    versions: Any = types.ModuleType("transformers.utils.versions")
    versions.require_version = lambda requirement: None
    sys.modules |= {"transformers": versions, "transformers.utils": versions, versions.__name__: versions}
    package = types.ModuleType("apollo_torch")
    package.__path__ = [str(importlib.metadata.distribution("apollo_torch").locate_file("apollo_torch"))]
    sys.modules["apollo_torch"] = package
    module = importlib.import_module("apollo_torch.apollo")
    arguments = arguments_of(case)
    low = {k: arguments.pop(k) for k in ("rank", "scale", "scale_type", "update_proj_gap")}
    matrices = [x for x in tensors.values() if x.ndim == 2]
    others = [x for x in tensors.values() if x.ndim != 2]
    groups = [{"params": others}, {"params": matrices, "proj": "random", "proj_type": "std", **low}]
    optimizer = module.AdamW(groups, **arguments)
    for x in matrices:
        optimizer.state[x]["projector"] = Projector(low["rank"], low["update_proj_gap"], "matrix")
    return optimizer


class Projector:
    """Projects as the authors' does, by the random matrices that gradchain draws."""

    def __init__(self, rank: int, gap: int, name: str):
        self.rank, self.gap, self.name = rank, gap, name

    def project(self, grad: Any, step: int) -> Any:
        """The projected gradient (outputs, inputs)."""
        from zlib import crc32

        import jax
        import torch

        with jax.enable_x64(True):
            key = jax.random.fold_in(jax.random.key(KEY), step // self.gap)
            key = jax.random.fold_in(key, crc32(self.name.encode()))
            rows, columns = grad.shape
            normal = jax.random.normal(key, (min(rows, columns), self.rank), "float64")
            matrix = torch.tensor(normal.tolist()) / self.rank**0.5
        return grad @ matrix if rows >= columns else matrix.T @ grad


def step(optimizer: Any, tensors: dict[str, Any]) -> None:
    """One step; AdaHessian is told the curvature."""
    told = {"hessian": [0.1 + x.grad**2 for x in tensors.values()]}
    optimizer.step(**told if type(optimizer).__name__ == "AdaHessian" else {})


MAKERS = {"adam_mini": adam_mini, "apollo_torch.apollo": apollo}


def make(case: Case, tensors: dict[str, Any]) -> Any:
    """The optimizer of a case."""
    return MAKERS.get(case.package, optimizer_of)(case, tensors)


if __name__ == "__main__":
    write(FILE, CASES, make=make, step=step)
