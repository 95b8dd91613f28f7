"""Arithmetic on whole trees, leaf by leaf. Leaves that are None stay None."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp

from ..core.types import ArrayTree, Numeric
from .leaves import map_leaves


def add(tree_x: ArrayTree, tree_y: ArrayTree, *other_trees: ArrayTree) -> ArrayTree:
    """The sum of two or more trees of one structure."""
    return map_leaves("add", lambda *xs: functools.reduce(operator.add, xs), tree_x, tree_y, *other_trees)


def sub(tree_x: ArrayTree, tree_y: ArrayTree) -> ArrayTree:
    """tree_x - tree_y."""
    return map_leaves("sub", operator.sub, tree_x, tree_y)


def mul(tree_x: ArrayTree, tree_y: ArrayTree) -> ArrayTree:
    """tree_x tree_y, entry by entry."""
    return map_leaves("mul", operator.mul, tree_x, tree_y)


def div(tree_x: ArrayTree, tree_y: ArrayTree) -> ArrayTree:
    """tree_x / tree_y, entry by entry."""
    return map_leaves("div", operator.truediv, tree_x, tree_y)


def scale(scalar: Numeric, tree: ArrayTree) -> ArrayTree:
    """A number times a tree. A Python number leaves the dtypes as they are."""
    return map_leaves("scale", lambda x: scalar * x, tree)


def add_scale(tree_x: ArrayTree, scalar: Numeric, tree_y: ArrayTree) -> ArrayTree:
    """tree_x + scalar tree_y. A Python number leaves the dtypes as they are."""
    return map_leaves("add_scale", lambda x, y: x + scalar * y, tree_x, tree_y)


def conj(tree: ArrayTree) -> ArrayTree:
    """The complex conjugates."""
    return map_leaves("conj", jnp.conj, tree)


def real(tree: ArrayTree) -> ArrayTree:
    """The real parts."""
    return map_leaves("real", jnp.real, tree)


def clip(tree: ArrayTree, min_value: Numeric | None = None, max_value: Numeric | None = None) -> ArrayTree:
    """Every entry held between two bounds; None is no bound."""
    return map_leaves("clip", lambda x: jnp.clip(x, min_value, max_value), tree)


def where(condition: Any, tree_x: ArrayTree, tree_y: ArrayTree) -> ArrayTree:
    """`tree_x` where one condition holds, else `tree_y`.

    Args: condition, a boolean or an array of them that every leaf can be broadcast with.
    """
    return map_leaves("where", lambda x, y: jnp.where(condition, x, y), tree_x, tree_y)


def allclose(
    a: ArrayTree, b: ArrayTree, rtol: Numeric = 1e-5, atol: Numeric = 1e-8, equal_nan: bool = False
) -> bool | jax.Array:
    """Whether two trees agree within |a - b| <= atol + rtol |b|, in every entry."""
    close = map_leaves("allclose", lambda x, y: jnp.allclose(x, y, rtol, atol, equal_nan), a, b)
    return functools.reduce(operator.and_, jax.tree.leaves(close), True)
