"""The assignment problem on a random square matrix, and SciPy's time beside it."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..harness import LIBRARIES, Figure, benchmark, in_turns, module, seconds

SCIPY = "scipy"
SIZE, MATRICES = 256, 8


def costs() -> list[np.ndarray]:
    """Uniform random costs, in single precision; how long one takes depends on the numbers."""
    rng = np.random.default_rng(0)
    return [rng.uniform(size=(SIZE, SIZE)).astype(np.float32) for _ in range(MATRICES)]


def first(library: str, name: str, cost: jax.Array) -> dict[str, float]:
    """A compiled function's first call, which compiles it."""
    jax.clear_caches()
    function = getattr(module(f"{library}.assignment"), name)
    return {"first call": seconds(lambda: jax.jit(function)(cost))}


def scipy_all(matrices: list[np.ndarray]) -> None:
    """SciPy's answers."""
    from scipy.optimize import linear_sum_assignment

    for cost in matrices:
        linear_sum_assignment(cost)


def measure(name: str, repeats: int) -> list[Figure]:
    """Compiled time per matrix of one function in both libraries and SciPy, and the first call."""
    matrices = costs()
    on_device = [jnp.asarray(cost) for cost in matrices]

    starts = {lib: partial(first, lib, name, on_device[0]) for lib in LIBRARIES}
    samples = in_turns(starts, repeats)
    compiled = {lib: jax.jit(getattr(module(f"{lib}.assignment"), name)) for lib in LIBRARIES}
    solvers: dict[str, Any] = {
        lib: lambda f=f: jax.block_until_ready([f(cost) for cost in on_device])
        for lib, f in compiled.items()
    }
    solvers[SCIPY] = partial(scipy_all, matrices)
    for solve in solvers.values():
        solve()
    runs = {lib: lambda f=f: {"run": seconds(f) / MATRICES} for lib, f in solvers.items()}
    samples |= in_turns(runs, 2 * repeats)
    limits = {"run": 0.5}
    return [Figure(q, "s", s, limits.get(q)) for q, s in samples.items()]


@benchmark("assignment/hungarian", f"hungarian_algorithm, {SIZE} x {SIZE}")
def hungarian(repeats: int) -> list[Figure]:
    """Against Optax's vectorized algorithm."""
    return measure("hungarian_algorithm", repeats)


@benchmark("assignment/base", f"base_hungarian_algorithm, {SIZE} x {SIZE}")
def base(repeats: int) -> list[Figure]:
    """Against Optax's port of SciPy's loops."""
    return measure("base_hungarian_algorithm", repeats)
