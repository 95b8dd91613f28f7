"""Norms of whole trees."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from ..core import is_absent, norms, relaxed_promotion, widen
from ..core.types import ArrayTree


def _arrays(tree: ArrayTree) -> list[Any]:
    return [x for x in jax.tree.leaves(tree) if not is_absent(x)]


def sum_of_squares(tree: ArrayTree) -> jax.Array:
    """The sum of |x|^2 over all entries of all leaves: a scalar, at least float32."""
    return norms.sum_of_squares(_arrays(tree))


def norm(tree: ArrayTree, ord: int | str | float | None = None, squared: bool = False) -> jax.Array:
    """The norm of a tree taken as one long vector.

    Args:
        tree: a pytree of arrays; None and float0 leaves are ignored, an empty tree has norm 0.
        ord: 2 or None (Euclidean), 1 (sum of absolute values) or inf (largest absolute value).
        squared: return the square of the norm instead.

    Returns: a scalar in at least float32. It is finite for finite entries if the norm itself is in
        range, even if squares are not. Its derivative at 0 is 0.
    Raises: ValueError for another `ord`.
    """
    if ord in (None, 2):
        xs = _arrays(tree)
        return norms.sum_of_squares(xs) if squared or not xs else norms.norms(xs)
    with relaxed_promotion():
        sizes = [jnp.abs(widen(jnp.asarray(x))) for x in _arrays(tree)]
        if ord == 1:
            result = functools.reduce(jnp.add, map(jnp.sum, sizes)) if sizes else jnp.zeros(())
        elif ord in (jnp.inf, "inf", "infinity"):
            largest = (jnp.max(x, initial=0) for x in sizes)
            result = functools.reduce(jnp.maximum, largest) if sizes else jnp.zeros(())
        else:
            raise ValueError(f"norm: ord must be None, 1, 2 or inf, received {ord!r}.")
    return result**2 if squared else result
