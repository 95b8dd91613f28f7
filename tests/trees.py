"""The small trees and gradients the laws are tried on, and how results are compared."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def params(dtype: Any = jnp.float32, seed: int = 0) -> dict[str, Any]:
    """Three leaves of three shapes, nested, without zeros."""
    rng = np.random.default_rng(seed)

    def leaf(*shape: int) -> jax.Array:
        x = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
        if jnp.issubdtype(dtype, jnp.complexfloating):
            x = x + 1j * rng.uniform(0.5, 1.5, shape)
        return jnp.asarray(x, dtype)

    return {"w": leaf(3, 2), "deep": ({"b": leaf(2)}, [leaf()])}


def gradients(like: Any, step: int, scale: float = 1.0) -> Any:
    """Gradients of step `step`: the same numbers for every dtype, up to rounding."""
    leaves, treedef = jax.tree.flatten(like)
    out = []
    for i, p in enumerate(leaves):
        rng = np.random.default_rng([step, i])
        g = rng.normal(size=np.shape(p)) * scale
        if jnp.iscomplexobj(p):
            g = g + 1j * rng.normal(size=np.shape(p)) * scale
        out.append(jnp.asarray(g, jnp.asarray(p).dtype))
    return jax.tree.unflatten(treedef, out)


def compiled(update: Callable[..., Any]) -> Callable[..., Any]:
    """The same update as one program, to which functions among the extra arguments are constants."""

    @functools.partial(jax.jit, static_argnums=4)
    def step(g: Any, state: Any, p: Any, arrays: Any, functions: Any) -> Any:
        return update(g, state, p, **arrays, **dict(functions))

    def run(g: Any, state: Any, p: Any = None, **extra: Any) -> Any:
        functions = {k: v for k, v in extra.items() if inspect.isfunction(v)}
        arrays = {k: v for k, v in extra.items() if k not in functions}
        return step(g, state, p, arrays, tuple(functions.items()))

    return run


def run(module: Any, tx: Any, p: Any, steps: int, extra: Any = None, scale: float = 1.0) -> Any:
    """`steps` updates applied to `p`; returns the last updates, the state and the parameters."""
    state, updates = tx.init(p), None
    for step in range(steps):
        more = extra(p, step) if extra else {}
        updates, state = tx.update(gradients(p, step, scale), state, p, **more)
        p = module.apply_updates(p, updates)
    return updates, state, p


def wide(x: Any) -> np.ndarray:
    """A NumPy array in double precision, to compare with (typed keys become their data)."""
    if hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    x = np.asarray(x)
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def worst(ours: Any, theirs: Any) -> float:
    """The largest difference between two trees, relative to the largest entry of each leaf."""
    a, b = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(a) == len(b), f"{jax.tree.structure(ours)} against {jax.tree.structure(theirs)}"
    worst = 0.0
    for x, y in zip(map(wide, a), map(wide, b), strict=True):
        assert x.shape == y.shape
        assert np.array_equal(np.isfinite(x), np.isfinite(y)), (x, y)
        x, y = np.where(np.isfinite(x), x, 0), np.where(np.isfinite(y), y, 0)
        size = np.max(np.abs(y), initial=0.0)
        worst = max(worst, float(np.max(np.abs(x - y), initial=0.0) / (size if size else 1.0)))
    return worst


def check_close(ours: Any, theirs: Any, rtol: float) -> None:
    """Asserts that two trees have equal leaves up to `rtol`."""
    error = worst(ours, theirs)
    assert error <= rtol, f"relative difference {error:.2e} > {rtol:.0e}"


def signature_of(tree: Any) -> Any:
    """Structure, shapes, dtypes and weak types of a tree, to compare exactly."""
    leaves, treedef = jax.tree.flatten(tree)
    return treedef, [(jnp.shape(x), x.dtype, getattr(x, "weak_type", False)) for x in leaves]


def enable_x64() -> Any:
    """A context in which 64-bit numbers exist, under the name this JAX has for it."""
    return jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64()
