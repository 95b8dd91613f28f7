"""Writes `field_kron.json`: what packages' PSGD Kron does, in float64, with gradchain's noise.

Run with the packages installed (`pip install torch`, and with `--no-deps` kron-torch and psgd-jax) beside
JAX, Optax and gradchain: `python tests/references/make_field_kron.py`. See `make_field.py`.
"""

import os
import sys
import types
from pathlib import Path
from typing import Any
from zlib import crc32

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # compilation in float64 adds nothing

from make_field import Case, arguments_of, optimizer_of, write

FILE = Path(__file__).with_name("field_kron.json")
KEY = 3
SHAPES = {(3, 2): "matrix", (4,): "vector", (): "scalar", (1,): "scalar"}
EVERY = {"preconditioner_update_probability": 1.0}
NEVER_EVEN = f"balance_probability=0.0, key={KEY}"
ALWAYS_EVEN = f"balance_probability=1.0, key={KEY}"
TORCH, JAX = "kron_torch.kron", "psgd_jax.kron"
OF_THE_GRADIENT = (
    "The package adds the noise of the fit to the momentum that it takes the step with, if it fits to that."
)

CASES = [
    Case(
        "psgd_kron_jax",
        JAX,
        "kron",
        {"learning_rate": 0.01, "b1": 0.8, "weight_decay": 0.1},
        f"psgd_kron(0.01, 0.8, 0.1, None, {NEVER_EVEN})",
        "The package decays vectors too, unless a mask tells.",
    ),
    Case(
        "psgd_kron_jax_seldom",
        JAX,
        "kron",
        {"learning_rate": 0.01, "preconditioner_lr": 0.3, "preconditioner_update_probability": 0.4}
        | {"preconditioner_init_scale": 3.0, "momentum_into_precond_update": False},
        f"psgd_kron(0.01, precond_lr=0.3, precond_update_probability=0.4, precond_init_scale=3.0, "
        f"momentum_into_precond_update=False, {NEVER_EVEN})",
    ),
    Case(
        "psgd_kron_jax_one_diagonal",
        JAX,
        "kron",
        {"learning_rate": 0.01, "memory_save_mode": "one_diag", "min_ndim_triangular": 1},
        f"psgd_kron(0.01, memory_save_mode='one_diag', min_ndim_triangular=1, {ALWAYS_EVEN})",
    ),
    Case(
        "psgd_kron_torch",
        TORCH,
        "Kron",
        {"lr": 0.01, "weight_decay": 0.1, "momentum_into_precond_update": False},
        f"psgd_kron(0.01, weight_decay=0.1, momentum_into_precond_update=False, {ALWAYS_EVEN})",
        OF_THE_GRADIENT,
    ),
    Case(
        "psgd_kron_torch_vectors",
        TORCH,
        "Kron",
        {"lr": 0.01, "precond_lr": 0.2, "min_ndim_triangular": 1, "precond_init_scale": 0.2}
        | {"momentum_into_precond_update": False, **EVERY},
        "psgd_kron(0.01, precond_lr=0.2, precond_update_probability=1.0, precond_init_scale=0.2, "
        f"min_ndim_triangular=1, momentum_into_precond_update=False, {NEVER_EVEN})",
        OF_THE_GRADIENT,
    ),
    Case(
        "psgd_kron_torch_all_diagonal",
        TORCH,
        "Kron",
        {"lr": 0.01, "memory_save_mode": "all_diag", "momentum_into_precond_update": False},
        f"psgd_kron(0.01, memory_save_mode='all_diag', momentum_into_precond_update=False, {ALWAYS_EVEN})",
        OF_THE_GRADIENT,
    ),
    Case(
        "psgd_kron_torch_size",
        TORCH,
        "Kron",
        {"lr": 0.01, "b1": 0.7, "max_size_triangular": 2, "momentum_into_precond_update": False},
        f"psgd_kron(0.01, 0.7, max_size_triangular=2, momentum_into_precond_update=False, {NEVER_EVEN})",
        OF_THE_GRADIENT,
    ),
]


class Now:
    """Which step it is, from 1."""

    step = 1


def noise(shape: tuple[int, ...]) -> Any:
    """What gradchain draws at this step for a parameter of this shape, which packages see transposed."""
    import jax
    import jax.numpy as jnp

    ours = shape[::-1]
    with jax.enable_x64(True):
        key, _ = jax.random.split(jax.random.fold_in(jax.random.key(KEY), Now.step))
        path = f"['{SHAPES[ours]}']"
        key = jax.random.fold_in(key, jnp.uint32(crc32(path.encode())))
        return jax.random.normal(key, ours or (1,), "float64").reshape(ours).T


class Chance:
    """Random numbers that are always the same: below every probability, or above."""

    def __init__(self, case: Case):
        self.value = 0.0 if ALWAYS_EVEN in case.gradchain else 1.0

    def random(self) -> float:
        """The number."""
        return self.value


def kron_torch(case: Case, tensors: dict[str, Any]) -> Any:
    """The package for PyTorch, with solves in float64 too. It takes no scalars, but vectors of one."""
    import torch

    vectors = {k: torch.nn.Parameter(x.data.view(1)) if x.ndim == 0 else x for k, x in tensors.items()}
    optimizer = optimizer_of(case, vectors)
    optimizer.vectors = vectors
    for group in optimizer.param_groups:
        group["precond_dtype"] = torch.float64
    optimizer.rng = Chance(case)
    torch.randn_like = lambda g: torch.tensor(noise(tuple(g.shape)).tolist())
    torch.Tensor.float = torch.Tensor.clone  # type: ignore[method-assign]
    return optimizer


class JaxKron:
    """The package for JAX, whose steps move PyTorch's tensors."""

    def __init__(self, case: Case, tensors: dict[str, Any]):
        self.tx = imported().kron(**arguments_of(case))
        self.chance = Chance(case)
        self.tensors = tensors
        self.state = self.tx.init(self.arrays(tensors))

    @staticmethod
    def arrays(tensors: dict[str, Any]) -> dict[str, Any]:
        """Tensors as arrays."""
        import jax.numpy as jnp
        import numpy as np

        return {k: jnp.asarray(np.asarray(x.tolist(), np.float64)) for k, x in tensors.items()}

    def step(self) -> None:
        """One step."""
        import jax
        import torch

        drawn = {x.shape: noise(tuple(x.shape)) for x in self.tensors.values()}
        params = self.arrays(self.tensors)
        grads = self.arrays({k: x.grad for k, x in self.tensors.items()})
        normal, uniform = jax.random.normal, jax.random.uniform
        jax.random.normal = lambda key, shape, dtype: drawn[shape]
        jax.random.uniform = lambda key: self.chance.random()
        try:
            updates, self.state = self.tx.update(grads, self.state, params)
        finally:
            jax.random.normal, jax.random.uniform = normal, uniform
        with torch.no_grad():
            for k, x in self.tensors.items():
                x += torch.tensor(updates[k].tolist())


def imported() -> Any:
    """The package for JAX; what it needs of modules that moved or are missing is put in their place."""
    import jax

    chex: Any = types.ModuleType("chex")
    chex.Array = jax.Array
    flax: Any = types.ModuleType("flax")
    linen: Any = types.ModuleType("flax.linen")
    linen.Partitioned, flax.linen = type("Partitioned", (), {}), linen
    clipping = types.ModuleType("optax._src.clipping")
    sys.modules |= {"chex": chex, "flax": flax, "flax.linen": linen, clipping.__name__: clipping}
    import optax

    optax._src.clipping = clipping
    import psgd_jax.kron

    return psgd_jax.kron


def make(case: Case, tensors: dict[str, Any]) -> Any:
    """The optimizer of a case, at its first step."""
    Now.step = 1
    return JaxKron(case, tensors) if case.package == JAX else kron_torch(case, tensors)


def step(optimizer: Any, tensors: dict[str, Any]) -> None:
    """One step."""
    for k, x in getattr(optimizer, "vectors", {}).items():
        x.grad = tensors[k].grad.view(x.shape)
    optimizer.step()
    Now.step += 1


def main() -> None:
    """Writes the file."""
    import jax

    with jax.enable_x64(True):
        write(FILE, CASES, make=make, step=step)


if __name__ == "__main__":
    main()
