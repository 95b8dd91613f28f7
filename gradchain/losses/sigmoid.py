"""Cross-entropy of a sigmoid, and its focal kind."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import CLOSED_UNIT, NON_NEGATIVE, cast, dtype_of, widen
from .checks import floating, in_range, like
from .safe import log, times


def _cross_entropy(x: jax.Array, y: jax.Array) -> jax.Array:
    return times(y, jax.nn.softplus(-x)) + times(1 - y, jax.nn.softplus(x))


def sigmoid_binary_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> jax.Array:
    """Cross-entropy of each entry: -y log p - (1 - y) log(1 - p), with p the sigmoid of the logit.

    Args:
        logits: floating point, any shape.
        labels: probabilities in [0, 1], of a shape that broadcasts to the logits'.

    Returns: an array like `logits`, computed in at least float32.
    Raises: TypeError for logits that are not floating point; ValueError for shapes that do not match.
    Reference: Goodfellow, Bengio and Courville, 2016, Deep Learning, section 6.2.
    """
    name = "sigmoid_binary_cross_entropy"
    x = widen(floating(name, "logits", logits))
    return cast(_cross_entropy(x, like(name, "labels", labels, "logits", x)), dtype_of(logits))


def sigmoid_focal_loss(
    logits: ArrayLike, labels: ArrayLike, *, alpha: ArrayLike | None = None, gamma: ArrayLike = 2.0
) -> jax.Array:
    """Cross-entropy of each entry, weighted by how wrong it is: (1 - q)^gamma times the cross-entropy.

    q = y p + (1 - y) (1 - p) is the probability of the label, with p the sigmoid of the logit.

    Args:
        logits: floating point, any shape.
        labels: probabilities in [0, 1], of a shape that broadcasts to the logits'.
        alpha: the weight of positive labels, in [0, 1]; that of negative ones is 1 - alpha. None for no
            weights.
        gamma: the exponent, at least 0; 0 is the cross-entropy.

    Returns: an array like `logits`, computed in at least float32.
    Raises: TypeError for logits that are not floating point; ValueError for shapes that do not match,
        and for numbers out of range.
    Reference: Lin et al., 2017, Focal Loss for Dense Object Detection, arXiv:1708.02002.
    """
    name = "sigmoid_focal_loss"
    in_range(name, CLOSED_UNIT, alpha=alpha)
    in_range(name, NON_NEGATIVE, gamma=gamma)
    x = widen(floating(name, "logits", logits))
    y = like(name, "labels", labels, "logits", x)
    # log(1 - q) by logarithms: 1 - q itself would be 0 at a large logit, and its power have no slope.
    wrong = jnp.logaddexp(log(1 - y) - jax.nn.softplus(-x), log(y) - jax.nn.softplus(x))
    loss = jnp.exp(times(like(name, "gamma", gamma, "logits", x), wrong)) * _cross_entropy(x, y)
    if alpha is not None:
        share = like(name, "alpha", alpha, "logits", x)
        loss = loss * (share * y + (1 - share) * (1 - y))
    return cast(loss, dtype_of(logits))
