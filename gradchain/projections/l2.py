"""Projections onto the points of a given Euclidean norm, or of at most that norm."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import NON_NEGATIVE, NON_NEGATIVE_OR_INF
from ..core.numerics import abs_sq, sqrt
from ..core.types import ArrayTree
from .vectors import Leaves, largest, size_of_set, total, vector


def normalized(xs: Leaves) -> tuple[Leaves, jax.Array]:
    """x / m and m, the largest absolute value (1 for zeros): squares of the quotient do not overflow.

    `m` is a constant to derivatives: what is made of both must not depend on it.
    """
    m = jax.lax.stop_gradient(largest([jnp.abs(x) for x in xs], xs, 0.0))
    m = jnp.where(m == 0, 1, m)
    return [x / jnp.asarray(m, x.dtype) for x in xs], m


def _on_sphere(xs: Leaves, norm: jax.Array, s: jax.Array) -> Leaves:
    """x s / |x|; for zeros the point of the sphere with equal entries."""
    even = s / jnp.sqrt(jnp.asarray(max(sum(x.size for x in xs), 1), s.dtype))
    factor = s / jnp.where(norm == 0, 1, norm)
    zero = norm == 0
    return [jnp.where(zero, jnp.asarray(even, x.dtype), x * jnp.asarray(factor, x.dtype)) for x in xs]


def projection_l2_sphere(tree: ArrayTree, scale: ArrayLike = 1) -> ArrayTree:
    """The closest point of norm `scale`: p = scale x / |x|.

    Args:
        tree: a pytree of arrays, real or complex, taken as one vector. To zeros all points are
            equally close: they give equal positive entries, with derivative 0.
        scale: the radius, one number, at least 0.

    Returns: a tree like it, in its dtypes, computed in at least float32; NaN for a traced negative
        `scale`.
    Raises: ValueError for a negative or infinite number.
    Reference: Bauschke and Combettes, 2017, Convex Analysis and Monotone Operator Theory, chapter 3.
    """
    xs, back = vector(tree)
    s = size_of_set("projection_l2_sphere", scale, NON_NEGATIVE, xs)
    xs, _ = normalized(xs)
    return back(_on_sphere(xs, sqrt(total([abs_sq(x) for x in xs], xs)), s))


def projection_l2_ball(tree: ArrayTree, scale: ArrayLike = 1) -> ArrayTree:
    """The closest point of norm at most `scale`: p = x min(1, scale / |x|).

    Args: tree, a pytree of arrays, real or complex, taken as one vector; scale, the radius, one
        number, at least 0.
    Returns: a tree like it, the same numbers if it is inside, in its dtypes, computed in at least
        float32; NaN for a traced negative `scale`.
    Raises: ValueError for a negative number.
    Reference: Parikh and Boyd, 2014, Proximal Algorithms, section 6.5.
    """
    xs, back = vector(tree)
    s = size_of_set("projection_l2_ball", scale, NON_NEGATIVE_OR_INF, xs)
    units, m = normalized(xs)
    norm = sqrt(total([abs_sq(x) for x in units], xs))
    ps = _on_sphere(units, norm, s)
    return back([jnp.where(m * norm <= s, x, p) for x, p in zip(xs, ps, strict=True)])
