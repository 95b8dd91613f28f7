"""Triplets: an anchor, something like it, and something else."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import FINITE, NON_NEGATIVE, Range, cast, dtype_of, widen
from .checks import floating, in_range, paired

DEGREE = Range("finite and at least 1", lambda p: 1 <= p < float("inf"))


def _distance(difference: jax.Array, axis: int, degree: jax.Array, eps: jax.Array) -> jax.Array:
    """(sum |d|^p + eps)^(1 / p), with slope 0 where that is 0."""
    total = jnp.sum(jnp.abs(difference) ** degree, axis) + eps
    return jnp.where(total > 0, jnp.where(total > 0, total, 1) ** (1 / degree), 0)


def triplet_margin_loss(
    anchors: ArrayLike,
    positives: ArrayLike,
    negatives: ArrayLike,
    axis: int = -1,
    norm_degree: ArrayLike = 2,
    margin: ArrayLike = 1.0,
    eps: ArrayLike = 1e-6,
) -> jax.Array:
    """How far the positive is from being nearer than the negative by a margin.

    max(0, d(anchor, positive) - d(anchor, negative) + margin), with d(a, b) = (sum |a - b|^p + eps)^(1/p)

    Args:
        anchors, positives, negatives: vectors along `axis`, floating point, e.g. shape (batch, n); axes
            of size 1 broadcast, as in anchors (batch, 1, n) and negatives (batch, k, n).
        axis: the axis of the vectors.
        norm_degree: p, at least 1.
        margin: any number.
        eps: what keeps the slope of the distance finite, at least 0.

    Returns: the loss per triplet in the anchors' dtype, computed in at least float32.
    Raises: TypeError for vectors that are not floating point; ValueError for shapes that do not match,
        and for numbers out of range.
    Reference: Balntas et al., 2016, Learning local feature descriptors with triplets and shallow
        convolutional neural networks.
    """
    name = "triplet_margin_loss"
    in_range(name, DEGREE, norm_degree=norm_degree)
    in_range(name, NON_NEGATIVE, eps=eps)
    in_range(name, FINITE, margin=margin)
    vectors = {"anchors": anchors, "positives": positives, "negatives": negatives}
    wide = {what: widen(floating(name, what, x)) for what, x in vectors.items()}
    dtype = wide["anchors"].dtype
    a, p, n = paired(name, axis, **{what: x.astype(dtype) for what, x in wide.items()})
    degree, least, gap = (jnp.asarray(number, dtype) for number in (norm_degree, eps, margin))
    near, far = (_distance(a - other, axis, degree, least) for other in (p, n))
    return cast(jnp.maximum(near - far + gap, 0), dtype_of(anchors))
