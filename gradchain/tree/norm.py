"""Norms of whole trees."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from ..core import relaxed_promotion, widen
from ..core.numerics import abs_sq, sqrt as safe_sqrt
from ..core.types import ArrayTree


@jax.jit
def _sum_abs_sq(x: Any) -> jax.Array:
    return jnp.sum(abs_sq(widen(x)))


def sum_of_squares(tree: ArrayTree) -> jax.Array:
    """The sum of |x|^2 over all entries of all leaves: a scalar, at least float32."""
    parts = [_sum_abs_sq(x) for x in jax.tree.leaves(tree)]
    with relaxed_promotion():
        return sum(parts[1:], start=parts[0]) if parts else jnp.zeros(())


def norm(tree: ArrayTree, ord: int | str | float | None = None, squared: bool = False) -> jax.Array:
    """The norm of a tree taken as one long vector.

    Args:
        tree: a pytree of arrays; None leaves count for nothing, an empty tree has norm 0.
        ord: 2 or None (Euclidean), 1 (sum of absolute values) or inf (largest absolute value).
        squared: return the square of the norm instead.

    Returns: a scalar in at least float32, whatever the leaves' precision.
    Raises: ValueError for another `ord`.
    """
    if ord in (None, 2):
        total = sum_of_squares(tree)
        return total if squared else safe_sqrt(total)
    with relaxed_promotion():
        sizes = [jnp.abs(widen(jnp.asarray(x))) for x in jax.tree.leaves(tree)]
        if ord == 1:
            result = functools.reduce(jnp.add, map(jnp.sum, sizes)) if sizes else jnp.zeros(())
        elif ord in (jnp.inf, "inf", "infinity"):
            largest = (jnp.max(x, initial=0) for x in sizes)
            result = functools.reduce(jnp.maximum, largest) if sizes else jnp.zeros(())
        else:
            raise ValueError(f"norm: ord must be None, 1, 2 or inf, received {ord!r}.")
    return result**2 if squared else result
