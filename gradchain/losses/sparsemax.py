"""Sparsemax losses, whose probabilities can be exactly 0."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import floating, like
from .safe import times
from .scores import labelled


@jax.jit
def _sparse_plus(x: jax.Array) -> jax.Array:
    """0 up to -1, then (x + 1)^2 / 4, from 1 on x."""
    return (jnp.clip(x, -1, 1) + 1) ** 2 / 4 + jnp.maximum(x - 1, 0)


def sparsemax_loss(logits: ArrayLike, labels: ArrayLike) -> jax.Array:
    """The binary sparsemax loss of each entry: s(-x) for label 1, s(x) for label 0.

    s(x) is 0 for x <= -1, (x + 1)^2 / 4 up to 1, and x from there.

    Args:
        logits: floating point, any shape.
        labels: 0 or 1 (or booleans), of a shape that broadcasts to the logits'.

    Returns: an array like `logits`, computed in at least float32; NaN at a label that is neither.
    Raises: TypeError for logits that are not floating point; ValueError for shapes that do not match.
    Reference: Blondel, Martins and Niculae, 2020, Learning with Fenchel-Young Losses, section 4.4,
        arXiv:1901.02324.
    """
    x = widen(floating("sparsemax_loss", "logits", logits))
    y = like("sparsemax_loss", "labels", labels, "logits", x)
    loss = _sparse_plus(jnp.where(y == 1, -x, x))
    return cast(jnp.where((y == 0) | (y == 1), loss, jnp.nan), dtype_of(logits))


def multiclass_sparsemax_loss(scores: ArrayLike, labels: ArrayLike) -> jax.Array:
    """The sparsemax loss: p.(s - s_label) + (1 - p.p) / 2, with p the sparsemax of the scores s.

    p is the point of the simplex nearest to s; the slope is p - one-hot(label).

    Args:
        scores: floating point, shape (..., classes).
        labels: integers in [0, classes), shape (...).

    Returns: the loss per example in the scores' dtype, computed in at least float32. A label out of
        range has loss NaN and gradient 0.
    Raises: TypeError for scores that are not floating point or labels that are not integers;
        ValueError for another shape, and for labels out of range that are Python's or NumPy's.
    Reference: Martins and Astudillo, 2016, From Softmax to Sparsemax: A Sparse Model of Attention and
        Multi-Label Classification, arXiv:1602.02068.
    """
    s, hot, wrong = labelled("multiclass_sparsemax_loss", scores, labels)
    s = s - lax.stop_gradient(jnp.max(s, -1, keepdims=True))
    fixed = lax.stop_gradient(s)
    ranked = -jnp.sort(-fixed, axis=-1)
    rank = lax.broadcasted_iota(s.dtype, s.shape, s.ndim - 1) + 1
    size = jnp.sum(1 + rank * ranked > jnp.cumsum(ranked, -1), -1, keepdims=True)
    support = fixed >= jnp.take_along_axis(ranked, size - 1, -1)
    p = jnp.where(support, s, 0)
    p = jnp.where(support, p - (jnp.sum(p, -1, keepdims=True) - 1) / size.astype(s.dtype), 0)
    behind = s - jnp.sum(jnp.where(hot, s, 0), -1, keepdims=True)
    loss = jnp.sum(times(p, jnp.where(hot, 0, behind)), -1) + 0.5 * (1 - jnp.sum(p * p, -1))
    return cast(jnp.where(wrong, jnp.nan, loss), dtype_of(scores))
