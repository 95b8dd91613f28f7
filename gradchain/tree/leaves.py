"""Functions mapped over trees in which None means "no array here"."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import cast, dtype_of, is_none, leaves_like, relaxed_promotion, tree_mismatch, widen
from ..core.types import ArrayTree


def map_leaves(name: str, f: Callable[..., Any], tree: ArrayTree, *others: ArrayTree) -> ArrayTree:
    """`f` of the leaves of trees of one structure; None where any of them has None.

    Dtypes mix by JAX's standard promotion, whatever the user's setting.
    Raises: ValueError, with the paths, if the structures differ.
    """
    leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
    columns = [_column(name, tree, other) for other in others]
    with relaxed_promotion():
        mapped = [None if any(map(is_none, row)) else f(*row) for row in zip(leaves, *columns, strict=True)]
    return jax.tree.unflatten(treedef, mapped)


def _column(name: str, tree: ArrayTree, other: ArrayTree) -> list[Any]:
    column = leaves_like(name, "first tree", tree, "other tree", other)
    if not jax.tree_util.all_leaves([x for x in column if x is not None]):
        present = jax.tree.leaves(tree, is_leaf=is_none)
        for x, y in zip(present, column, strict=True):
            if x is not None and not jax.tree_util.all_leaves([y], is_leaf=is_none):
                raise tree_mismatch(name, "first tree", tree, "other tree", other)
    return column


def widened(f: Callable[..., Any]) -> Callable[..., jax.Array]:
    """`f`, computed in float32 for arrays of half precision and rounded once, at the end."""

    def rounded_once(*args: Any) -> jax.Array:
        dtype = jnp.result_type(*map(dtype_of, args))
        result = f(*map(widen, args))
        if not jnp.issubdtype(dtype, jnp.inexact) or jnp.finfo(dtype).bits >= 32:
            return result
        return cast(result, dtype)

    return rounded_once
