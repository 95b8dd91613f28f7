"""One number from a whole tree. Sums of half precisions are computed and returned in float32."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import relaxed_promotion, widen
from ..core.types import ArrayTree
from .leaves import map_leaves


def _in_turn(parts: list[Any]) -> Any:
    return functools.reduce(lambda x, y: x + y, parts) if parts else 0


def _in_pairs(parts: list[Any]) -> Any:
    """The sum by halves: its rounding error grows with the logarithm of the number of parts."""
    if len(parts) <= 2:
        return _in_turn(parts)
    half = len(parts) // 2
    return _in_pairs(parts[:half]) + _in_pairs(parts[half:])


def sum(tree: ArrayTree, associative_reduction: bool = False) -> Any:
    """The sum of all entries of all leaves; 0 for an empty tree.

    Args:
        tree: a pytree of arrays; None is ignored.
        associative_reduction: True adds the sums of the leaves in pairs, for a smaller rounding error.
    """
    with relaxed_promotion():
        parts = [jnp.sum(widen(x)) for x in jax.tree.leaves(tree)]
        return (_in_pairs if associative_reduction else _in_turn)(parts)


def vdot(tree_x: ArrayTree, tree_y: ArrayTree) -> Any:
    """The inner product of two trees as long vectors, the first one conjugated; 0 for empty trees.

    Raises: ValueError if structures or shapes differ.
    """

    def dot(x: Any, y: Any) -> jax.Array:
        if jnp.shape(x) != jnp.shape(y):
            raise ValueError(
                f"vdot: a leaf of the first tree has shape {jnp.shape(x)} but the same leaf of "
                f"the second has shape {jnp.shape(y)}."
            )
        # Not jnp.vdot: a product and a sum are in full precision on all hardware, for any sharding.
        return jnp.sum(jnp.conj(widen(x)) * widen(y))

    parts = jax.tree.leaves(map_leaves("vdot", dot, tree_x, tree_y))
    with relaxed_promotion():
        return _in_turn(parts)


def _extreme(of_array: Callable[..., Any], of_two: Callable[..., Any], start: float) -> Any:
    def extreme(tree: ArrayTree) -> Any:
        parts = [of_array(x) for x in jax.tree.leaves(tree) if jnp.size(x)]
        with relaxed_promotion():
            return functools.reduce(of_two, parts, start)

    return extreme


def max(tree: ArrayTree) -> Any:
    """The largest entry of all leaves; -inf for an empty tree."""
    return _extreme(jnp.max, jnp.maximum, -float("inf"))(tree)


def min(tree: ArrayTree) -> Any:
    """The smallest entry of all leaves; inf for an empty tree."""
    return _extreme(jnp.min, jnp.minimum, float("inf"))(tree)


def size(tree: ArrayTree) -> int:
    """The number of entries of all leaves."""
    return _in_turn([jnp.size(x) for x in jax.tree.leaves(tree)])
