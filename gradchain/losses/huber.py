"""The Huber loss: squared near zero, absolute far from it."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import NON_NEGATIVE_OR_INF, cast, dtype_of
from .checks import errors, in_range, like


def huber_loss(
    predictions: ArrayLike, targets: ArrayLike | None = None, *, delta: ArrayLike = 1.0
) -> jax.Array:
    """e^2 / 2 for abs(e) <= delta, else delta (abs(e) - delta / 2), where e = prediction - target.

    Args:
        predictions: floating point, any shape.
        targets: a shape that broadcasts to the predictions'; None for zeros.
        delta: where the parabola goes over into lines, at least 0; the slope is at most delta. A number,
            or an array that broadcasts to the predictions. Infinity gives `l2_loss`.

    Returns: an array like `predictions`, computed in at least float32.
    Raises: TypeError for predictions that are not floating point; ValueError for shapes that do not
        match, and for delta < 0.
    Reference: Huber, 1964, Robust Estimation of a Location Parameter.
    """
    in_range("huber_loss", NON_NEGATIVE_OR_INF, delta=delta)
    error = errors("huber_loss", predictions, targets)
    bound = like("huber_loss", "delta", delta, "predictions", error)
    size = jnp.abs(error)
    near = size <= bound
    far = jnp.where(near, 0, bound)  # an infinite bound is of no use in the other branch
    return cast(jnp.where(near, 0.5 * error**2, far * (size - 0.5 * far)), dtype_of(predictions))
