"""Cross-entropy of a softmax, for labels that are probabilities."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import Axis, floating, mask_like, paired
from .safe import log_softmax, times


def log_terms(
    name: str, logits: ArrayLike, labels: ArrayLike, axis: Axis, where: ArrayLike | None
) -> tuple[jax.Array, jax.Array]:
    """Labels and log-probabilities of one shape, in at least float32; 0 where masked."""
    x = widen(floating(name, "logits", logits))
    x, y = paired(name, axis, logits=x, labels=jnp.asarray(labels, x.dtype))
    mask = mask_like(name, where, x, axis)
    return y if mask is None else jnp.where(mask, y, 0), log_softmax(x, axis, mask)


def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Cross-entropy between label probabilities and the softmax of logits: -sum_i y_i log p_i.

    Args:
        logits: floating point, any shape.
        labels: probabilities (or one-hot labels) of the logits' shape; one row may serve all examples.
        axis: the class axis or axes; None for all.
        where: booleans, True where an entry counts; of the logits' shape, or without the class axis.

    Returns: the loss per example in the logits' dtype, computed in at least float32. A class with
        label 0 adds nothing, even at a logit of -inf; an example that is masked has loss 0.
    Raises: TypeError for logits that are not floating point; ValueError for shapes that do not match.
    Reference: Goodfellow, Bengio and Courville, 2016, Deep Learning, section 6.2.
    """
    y, log_p = log_terms("softmax_cross_entropy", logits, labels, axis, where)
    return cast(jnp.sum(times(y, -log_p), axis), dtype_of(logits))


def safe_softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> jax.Array:
    """`softmax_cross_entropy` over the last axis, which is safe at logits of -inf by itself.

    Args: logits and labels, floating point, shape (..., classes).
    Returns, Raises: as `softmax_cross_entropy`.
    """
    y, log_p = log_terms("safe_softmax_cross_entropy", logits, labels, -1, None)
    return cast(jnp.sum(times(y, -log_p), -1), dtype_of(logits))
