"""Squared errors."""

import jax
from jax.typing import ArrayLike

from ..core import cast, dtype_of
from .checks import errors, same_shape


def squared_error(predictions: ArrayLike, targets: ArrayLike | None = None) -> jax.Array:
    """The squared error of each entry: (prediction - target)^2.

    Args: predictions, floating point of any shape; targets, the same shape, or None for zeros.
    Returns: an array like `predictions`, computed in at least float32.
    Raises: TypeError for predictions that are not floating point; ValueError for unequal shapes.
    """
    same_shape("squared_error", predictions, targets)
    return cast(errors("squared_error", predictions, targets) ** 2, dtype_of(predictions))


def l2_loss(predictions: ArrayLike, targets: ArrayLike | None = None) -> jax.Array:
    """Half the squared error of each entry, 0.5 (prediction - target)^2, whose slope is the error.

    Args, Returns, Raises: as `squared_error`.
    Reference: Bishop, 2006, Pattern Recognition and Machine Learning, section 3.1.
    """
    same_shape("l2_loss", predictions, targets)
    return cast(0.5 * errors("l2_loss", predictions, targets) ** 2, dtype_of(predictions))
