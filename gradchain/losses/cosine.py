"""The angle between vectors."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import NON_NEGATIVE, cast, dtype_of, widen
from ..core.numerics import sqrt
from .checks import Axis, floating, in_range, mask_like, paired


@functools.partial(jax.jit, static_argnums=2)
def unit(x: jax.Array, epsilon: jax.Array, axis: Axis) -> jax.Array:
    """x / max(|x|, sqrt(epsilon)), 0 for a zero vector; scaled first, so that no square overflows."""
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis, keepdims=True))
    scale = jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1)
    x = x / scale
    square = jnp.sum(x * x, axis, keepdims=True)
    size = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
    size = jnp.maximum(size, sqrt(epsilon) / scale)
    return jnp.where(size > 0, x / jnp.where(size > 0, size, 1), 0)


def similarity(
    name: str,
    predictions: ArrayLike,
    targets: ArrayLike,
    epsilon: ArrayLike,
    axis: Axis,
    where: ArrayLike | None,
) -> jax.Array:
    """The cosines in at least float32."""
    in_range(name, NON_NEGATIVE, epsilon=epsilon)
    a = widen(floating(name, "predictions", predictions))
    b = jnp.asarray(floating(name, "targets", targets), a.dtype)
    a, b = paired(name, axis, predictions=a, targets=b)
    mask = mask_like(name, where, a, axis)
    if mask is not None:
        a, b = jnp.where(mask, a, 0), jnp.where(mask, b, 0)
    least = jnp.asarray(epsilon, a.dtype)
    return jnp.sum(unit(a, least, axis) * unit(b, least, axis), axis)


def cosine_similarity(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    epsilon: ArrayLike = 0.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """The cosine of the angle between predictions a and targets b: a.b / (|a| |b|).

    Args:
        predictions, targets: vectors along `axis`, floating point, e.g. shape (..., n); one vector may
            serve all examples, and axes of size 1 make pairs, as in (a, 1, n) and (1, b, n).
        epsilon: the least squared length to divide by, at least 0.
        axis: the axis or axes of the vectors; None for all.
        where: booleans, True where an entry counts; of the predictions' shape, or without `axis`.

    Returns: the cosine per example in the predictions' dtype, computed in at least float32. That of a
        zero vector is 0, with a finite gradient: 0 if epsilon is 0.
    Raises: TypeError for vectors that are not floating point; ValueError for shapes that do not match.
    """
    of = similarity("cosine_similarity", predictions, targets, epsilon, axis, where)
    return cast(of, dtype_of(predictions))


def cosine_distance(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    epsilon: ArrayLike = 0.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """One minus the cosine of the angle between predictions and targets, from 0 to 2.

    Args, Returns, Raises: as `cosine_similarity`; the distance to a zero vector is 1.
    """
    of = similarity("cosine_distance", predictions, targets, epsilon, axis, where)
    return cast(1 - of, dtype_of(predictions))
