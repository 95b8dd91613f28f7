"""Projections onto the simplex, and onto what has a given sum of absolute values."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ..core import NON_NEGATIVE, NON_NEGATIVE_OR_INF
from ..core.numerics import abs_sq, sqrt
from ..core.types import ArrayTree
from .vectors import Leaves, check_real, largest, size_of_set, total, vector


def projection_simplex(tree: ArrayTree, scale: ArrayLike = 1) -> ArrayTree:
    """The closest point with entries of at least 0 that sum to `scale`.

    p = max(x - t, 0), with t such that sum(p) = scale. Newton's method finds t in a number of passes
    over x that grows with the logarithm of its size, without sorting; the largest entry is subtracted
    first, so that large numbers do not cancel.

    Args:
        tree: a pytree of real arrays, taken as one vector.
        scale: the sum, one number, at least 0.

    Returns: a tree like it, in its dtypes, computed in at least float32; NaN for a traced negative
        `scale`. Derivatives follow x and `scale` within the set of positive entries.
    Raises: ValueError for a negative or infinite number; TypeError for complex numbers.
    Reference: Michelot, 1986, A Finite Algorithm for Finding the Projection of a Point onto the
        Canonical Simplex; Duchi et al., 2008, Efficient Projections onto the l1-Ball for Learning in
        High Dimensions; Condat, 2016, Fast Projection onto the Simplex and the l1 Ball.
    """
    check_real("projection_simplex", tree)
    xs, back = vector(tree)
    return back(_simplex(xs, size_of_set("projection_simplex", scale, NON_NEGATIVE, xs)))


@jax.jit
def _thresholded(xs: Leaves, s: jax.Array) -> Leaves:
    """max(x - t, 0) that sum to `s`."""
    top = largest(xs, xs, -jnp.inf)
    xs = [x - top for x in xs]

    def newton(t: jax.Array) -> jax.Array:
        above = [x > t for x in xs]
        count = total([jnp.sum(chosen, dtype=t.dtype) for chosen in above], xs)
        part = total([jnp.where(chosen, x, 0) for chosen, x in zip(above, xs, strict=True)], xs)
        return (part - s) / jnp.maximum(count, 1)

    # The sum falls as t grows, and is convex: from the left, t only grows until it stands.
    ts = lax.while_loop(lambda ts: ts[1] > ts[0], lambda ts: (ts[1], newton(ts[1])), (-s, newton(-s)))
    return [jnp.maximum(x - ts[1], 0) for x in xs]


@jax.custom_jvp
def _simplex(xs: Leaves, s: jax.Array) -> Leaves:
    return _thresholded(xs, s)


@_simplex.defjvp
def _simplex_jvp(primals: Any, tangents: Any) -> tuple[Leaves, Leaves]:
    ps = _simplex(*primals)
    dxs, ds = tangents
    support = [jnp.asarray(p > 0, p.dtype) for p in ps]
    moved = total([on * dx for on, dx in zip(support, dxs, strict=True)], ps)
    shift = (moved - ds) / jnp.maximum(total(support, ps), 1)
    return ps, [on * (dx - shift) for on, dx in zip(support, dxs, strict=True)]


def _phase(x: jax.Array) -> jax.Array:
    """x / |x|, and 1 where x is 0."""
    if not jnp.iscomplexobj(x):
        return jnp.where(x < 0, -jnp.ones_like(x), jnp.ones_like(x))
    size = sqrt(abs_sq(x))
    return jnp.where(size == 0, 1, x / jnp.asarray(jnp.where(size == 0, 1, size), x.dtype))


def _sizes(xs: Leaves) -> Leaves:
    """|x|, with derivative 0 (1 from the right, if real) at 0."""
    return [sqrt(abs_sq(x)) if jnp.iscomplexobj(x) else x * _phase(x) for x in xs]


def _on_sphere(xs: Leaves, s: jax.Array) -> Leaves:
    ps = _simplex(_sizes(xs), s)
    return [_phase(x) * jnp.asarray(p, x.dtype) for x, p in zip(xs, ps, strict=True)]


@jax.jit
def _in_ball(xs: Leaves, s: jax.Array) -> Leaves:
    inside = total(_sizes(xs), xs) <= s
    return lax.cond(inside, lambda xs: xs, lambda xs: _on_sphere(xs, s), xs)


def projection_l1_sphere(tree: ArrayTree, scale: ArrayLike = 1) -> ArrayTree:
    """The closest point whose absolute values sum to `scale`: |x| projected onto the simplex.

    Args:
        tree: a pytree of arrays, real or complex, taken as one vector. Zeros count as positive: of
            the points equally close, the one with positive entries.
        scale: the radius, one number, at least 0.

    Returns: a tree like it, in its dtypes, computed in at least float32; NaN for a traced negative
        `scale`.
    Raises: ValueError for a negative or infinite number.
    Reference: Duchi et al., 2008, Efficient Projections onto the l1-Ball for Learning in High Dimensions.
    """
    xs, back = vector(tree)
    return back(_on_sphere(xs, size_of_set("projection_l1_sphere", scale, NON_NEGATIVE, xs)))


def projection_l1_ball(tree: ArrayTree, scale: ArrayLike = 1) -> ArrayTree:
    """The closest point whose absolute values sum to at most `scale`.

    Args: tree, a pytree of arrays, real or complex, taken as one vector; scale, the radius, one
        number, at least 0.
    Returns: the tree itself if it is inside; else `projection_l1_sphere`. NaN for a traced negative
        `scale`.
    Raises: ValueError for a negative number.
    Reference: Duchi et al., 2008, Efficient Projections onto the l1-Ball for Learning in High Dimensions.
    """
    xs, back = vector(tree)
    return back(_in_ball(xs, size_of_set("projection_l1_ball", scale, NON_NEGATIVE_OR_INF, xs)))
