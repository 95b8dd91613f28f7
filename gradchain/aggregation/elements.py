"""The axes along which the elements are, and how many there are."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core.types import ArrayTree
from ..tree.leaves import map_leaves

Axes = int | Sequence[int]


def axes_of(name: str, per_elt_updates: ArrayTree, per_elt_axis: Axes) -> tuple[int, ...]:
    """The axes as a tuple; ValueError, with the path, for a leaf that lacks one."""
    axes = (per_elt_axis,) if isinstance(per_elt_axis, int) else tuple(per_elt_axis)
    for path, leaf in jax.tree_util.tree_leaves_with_path(per_elt_updates):
        if any(not -jnp.ndim(leaf) <= axis < jnp.ndim(leaf) for axis in axes):
            raise ValueError(
                f"{name}: per_elt_axis is {per_elt_axis!r} but update "
                f"{jax.tree_util.keystr(path) or '(the only leaf)'} has shape {jnp.shape(leaf)}; expected "
                "the elements along these axes, as jax.vmap(jax.grad(loss)) gives them along the first."
            )
    return axes


def over_elements(
    name: str, f: Callable[..., Any], per_elt_updates: ArrayTree, per_elt_axis: Axes
) -> ArrayTree:
    """`f(x, axes)` of every leaf; None stays None."""
    axes = axes_of(name, per_elt_updates, per_elt_axis)
    return map_leaves(name, lambda x: f(x, axes), per_elt_updates)


def get_batch_size_from_per_elt_updates(per_elt_updates: ArrayTree, per_elt_axis: Axes) -> int:
    """How many elements there are: the product of the lengths of their axes.

    Args: per_elt_updates, a tree of arrays that all have the elements' axes; per_elt_axis, the axis
        or axes.
    Returns: the number, 0 for a tree without leaves.
    Raises: ValueError for a leaf without these axes, or for different numbers.
    """
    name = "get_batch_size_from_per_elt_updates"
    axes = axes_of(name, per_elt_updates, per_elt_axis)
    sizes = {
        jax.tree_util.keystr(path): math.prod(jnp.shape(x)[axis] for axis in axes)
        for path, x in jax.tree_util.tree_leaves_with_path(per_elt_updates)
    }
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{name}: all updates must have the same number of elements, received {sizes}.")
    return next(iter(sizes.values()), 0)
