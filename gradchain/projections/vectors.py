"""Trees as long vectors: their leaves in one dtype, and what is computed of them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import Range, cast, compute_dtype, dtype_of, is_inexact, relaxed_promotion
from ..core.types import ArrayTree

Leaves = list[jax.Array]


def vector(tree: ArrayTree) -> tuple[Leaves, Callable[[Leaves], ArrayTree]]:
    """The leaves in one dtype, at least float32, and the way back to a tree of the first dtypes.

    Integers are computed, and come back, as floating point.
    """
    leaves, treedef = jax.tree.flatten(tree)
    default = jax.dtypes.canonicalize_dtype(float)
    wide = [compute_dtype(dtype_of(x)) if is_inexact(x) else default for x in leaves]
    dtypes = [dtype_of(x) if is_inexact(x) else default for x in leaves]
    with relaxed_promotion():
        common = functools.reduce(jnp.promote_types, wide[1:], wide[0]) if wide else default

    def back(new: Leaves) -> ArrayTree:
        return jax.tree.unflatten(treedef, [cast(y, d) for y, d in zip(new, dtypes, strict=True)])

    return [cast(jnp.asarray(x), common) for x in leaves], back


def total(parts: Leaves, like: Leaves) -> jax.Array:
    """The sum of all entries, of the real dtype of `like`; 0 if there are none."""
    return sum(map(jnp.sum, parts), jnp.zeros((), scalar_dtype(like)))


def largest(parts: Leaves, like: Leaves, least: float) -> jax.Array:
    """The largest entry, at least `least`, of the real dtype of `like`; NaN if there is one."""
    start = jnp.asarray(least, scalar_dtype(like))
    return functools.reduce(jnp.maximum, (jnp.max(x, initial=least) for x in parts), start)


def scalar_dtype(xs: Leaves) -> Any:
    """The dtype of a real number that goes with these leaves."""
    return jnp.finfo(xs[0].dtype).dtype if xs else jax.dtypes.canonicalize_dtype(float)


def scalar(name: str, what: str, value: Any, like: Leaves) -> jax.Array:
    """`value` as one number of the leaves' dtype; ValueError if it is an array of several."""
    if jnp.shape(value) != ():
        raise ValueError(
            f"{name}: {what} must be one number, received shape {jnp.shape(value)}. "
            "Use jax.vmap to project a batch."
        )
    complex_too = jnp.iscomplexobj(value) and like and jnp.iscomplexobj(like[0])
    return cast(value, like[0].dtype if complex_too else scalar_dtype(like))


def check_number(name: str, what: str, value: Any, allowed: Range) -> None:
    """Raises ValueError for a Python number outside a range; arrays and tracers pass."""
    if isinstance(value, (int, float)) and not allowed.holds(value):
        raise ValueError(f"{name}: {what} must be {allowed.text}, received {value!r}.")


def size_of_set(name: str, scale: Any, allowed: Range, like: Leaves) -> jax.Array:
    """`scale` as one number of the leaves' dtype; NaN for a negative array, whose set is empty."""
    check_number(name, "scale", scale, allowed)
    s = scalar(name, "scale", scale, like)
    return jnp.where(s < 0, jnp.nan, s)


def check_real(name: str, tree: ArrayTree) -> None:
    """Raises TypeError, with the path, for a complex leaf: its entries have no order."""
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.iscomplexobj(x):
            where = jax.tree_util.keystr(path) or "(the only leaf)"
            raise TypeError(f"{name}: {where} has dtype {dtype_of(x)}; expected real numbers.")
