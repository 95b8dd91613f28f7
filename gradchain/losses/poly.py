"""The first PolyLoss: cross-entropy with one more polynomial term."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of
from .checks import Axis, floating
from .safe import times
from .softmax import log_terms


def poly_loss_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 2.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Poly-1 loss: sum_i y_i (epsilon (1 - p_i) - log p_i), with p the softmax of the logits.

    Args:
        logits: floating point, any shape.
        labels: probabilities, floating point, of the logits' shape; one row may serve all examples.
        epsilon: the weight of the polynomial term, of either sign; 0 is the cross-entropy. A number, or
            an array like the loss. The paper takes 2 for ImageNet and -1 for segmentation.
        axis: the class axis or axes; None for all.
        where: booleans, True where an entry counts; of the logits' shape, or without the class axis.

    Returns: the loss per example in the logits' dtype, computed in at least float32; 0 where masked.
    Raises: TypeError for logits or labels that are not floating point; ValueError for shapes that do
        not match.
    Reference: Leng et al., 2022, PolyLoss: A Polynomial Expansion Perspective of Classification Loss
        Functions, arXiv:2204.12511.
    """
    name = "poly_loss_cross_entropy"
    y, log_p = log_terms(name, logits, floating(name, "labels", labels), axis, where)
    wrong = jnp.sum(y * -jnp.expm1(log_p), axis)
    return cast(
        jnp.asarray(epsilon, wrong.dtype) * wrong - jnp.sum(times(y, log_p), axis), dtype_of(logits)
    )
