"""Projections that move every entry by itself into an interval."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import (
    NON_NEGATIVE_OR_INF,
    cast,
    dtype_of,
    is_inexact,
    is_none,
    leaves_like,
    relaxed_promotion,
    widen,
)
from ..core.types import ArrayTree
from ..tree.leaves import map_leaves
from .vectors import check_number, check_real, size_of_set, vector


def projection_non_negative(tree: ArrayTree) -> ArrayTree:
    """The closest point with no negative entry: p = max(x, 0), with derivative 0 at 0.

    Args: tree, any pytree of real arrays.
    Returns: a tree like it.
    Raises: TypeError for complex numbers.
    Reference: Parikh and Boyd, 2014, Proximal Algorithms, section 6.2.
    """
    check_real("projection_non_negative", tree)
    return map_leaves("projection_non_negative", jax.nn.relu, tree)


def projection_box(tree: ArrayTree, lower: Any, upper: Any) -> ArrayTree:
    """The closest point between two bounds: p = min(max(x, lower), upper), entry by entry.

    Args:
        tree: any pytree of real arrays.
        lower, upper: one number or array for all leaves, or a tree of them like `tree`; None for no
            bound. `lower` must be at most `upper`, which is checked for Python numbers only.

    Returns: a tree like it, in its dtypes.
    Raises: ValueError for numbers with lower > upper, or, with the paths, for a tree of bounds of
        another structure; TypeError for complex numbers.
    Reference: Parikh and Boyd, 2014, Proximal Algorithms, section 6.2.
    """
    return _clipped("projection_box", tree, lower, upper)


def _clipped(name: str, tree: ArrayTree, lower: Any, upper: Any) -> ArrayTree:
    numbers = isinstance(lower, (int, float)) and isinstance(upper, (int, float))
    if numbers and not lower <= upper:
        raise ValueError(f"{name}: lower must be at most upper, received {lower!r} and {upper!r}.")
    check_real(name, tree)
    leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
    bounds = _each(name, tree, "lower", lower), _each(name, tree, "upper", upper)

    def clip(x: Any, low: Any, high: Any) -> Any:
        if x is None:
            return None
        with relaxed_promotion():
            p = jnp.clip(widen(jnp.asarray(x)), low, high)
        return cast(p, dtype_of(x)) if is_inexact(x) else p

    return jax.tree.unflatten(treedef, [clip(*row) for row in zip(leaves, *bounds, strict=True)])


def _each(name: str, tree: ArrayTree, what: str, bound: Any) -> list[Any]:
    """The bound of every leaf."""
    if bound is None or jax.tree_util.all_leaves([bound]):
        return [bound] * jax.tree.structure(tree, is_leaf=is_none).num_leaves
    return leaves_like(name, "tree", tree, what, bound)


def projection_hypercube(tree: ArrayTree, scale: Any = 1) -> ArrayTree:
    """The closest point with all entries between 0 and `scale`.

    Args:
        tree: any pytree of real arrays.
        scale: the length of the edges, at least 0: one number, or a tree as in `projection_box`.

    Returns: a tree like it, in its dtypes.
    Raises: ValueError for a negative number; TypeError for complex numbers.
    Reference: see `projection_box`.
    """
    check_number("projection_hypercube", "scale", scale, NON_NEGATIVE_OR_INF)
    return _clipped("projection_hypercube", tree, 0, scale)


def projection_linf_ball(tree: ArrayTree, scale: ArrayLike = 1) -> ArrayTree:
    """The closest point with no entry larger than `scale` in absolute value.

    Args: tree, any pytree of real arrays; scale, the radius, one number, at least 0.
    Returns: a tree like it, in its dtypes; NaN for a traced negative `scale`.
    Raises: ValueError for a negative number; TypeError for complex numbers.
    Reference: Parikh and Boyd, 2014, Proximal Algorithms, section 6.5.
    """
    name = "projection_linf_ball"
    check_number(name, "scale", scale, NON_NEGATIVE_OR_INF)
    radius: Any = scale
    if not isinstance(scale, (int, float)):
        radius = size_of_set(name, scale, NON_NEGATIVE_OR_INF, vector(tree)[0])
    return _clipped(name, tree, -radius, radius)
