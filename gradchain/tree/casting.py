"""The dtypes of trees."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import cast as cast_array, dtype_of, relaxed_promotion
from ..core.types import ArrayTree
from .leaves import map_leaves


def cast(tree: ArrayTree, dtype: Any) -> ArrayTree:
    """Every leaf as an array of `dtype`; None leaves the tree as it is."""
    return tree if dtype is None else map_leaves("cast", lambda x: cast_array(x, dtype), tree)


def cast_like(tree: ArrayTree, other_tree: ArrayTree) -> ArrayTree:
    """Every leaf in the dtype of the same leaf of `other_tree`, if that leaf has a dtype."""
    return map_leaves(
        "cast_like",
        lambda x, like: cast_array(x, like.dtype) if hasattr(like, "dtype") else x,
        tree,
        other_tree,
    )


def dtype(tree: ArrayTree, mixed_dtype_handler: str | None = None) -> np.dtype:
    """The dtype of a tree; the default float dtype for an empty tree.

    Args:
        tree: a pytree of arrays.
        mixed_dtype_handler: what to do with several dtypes: None raises, "promote" gives the dtype
            they promote to, "highest" and "lowest" choose one of them.

    Raises: ValueError, with the leaves, for a mixed tree without handler; ValueError for "highest" and
        "lowest" if neither of two dtypes can hold the other.
    """
    found = [dtype_of(x) for x in jax.tree.leaves(tree)]
    if not found:
        return jax.dtypes.canonicalize_dtype(float)
    if mixed_dtype_handler is None:
        return _only(tree, found[0])
    if mixed_dtype_handler not in ("promote", "highest", "lowest"):
        raise ValueError(
            "dtype: mixed_dtype_handler must be None, 'promote', 'highest' or 'lowest', received "
            f"{mixed_dtype_handler!r}."
        )
    with relaxed_promotion():
        if mixed_dtype_handler == "promote":
            return functools.reduce(jnp.promote_types, found)
        return functools.reduce(functools.partial(_choose, mixed_dtype_handler), found)


def _only(tree: ArrayTree, first: np.dtype) -> np.dtype:
    others = [
        f"{jax.tree_util.keystr(path)} has {dtype_of(x)}"
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
        if dtype_of(x) != first
    ]
    if others:
        raise ValueError(
            f"dtype: expected {first} everywhere, as in the first leaf, but {', '.join(others)}. "
            "Choose a mixed_dtype_handler."
        )
    return first


def _choose(which: str, a: np.dtype, b: np.dtype) -> np.dtype:
    wider = jnp.promote_types(a, b)
    if wider not in (a, b):
        raise ValueError(f"dtype: neither of {a} and {b} holds the other; use 'promote'.")
    narrower = b if wider == a else a
    return wider if which == "highest" else narrower
