"""The logarithm of the hyperbolic cosine."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of
from .checks import errors


def log_cosh(predictions: ArrayLike, targets: ArrayLike | None = None) -> jax.Array:
    """log cosh(prediction - target), about e^2 / 2 for a small error e and abs(e) - log 2 for a large one.

    Args:
        predictions: floating point, any shape.
        targets: a shape that broadcasts to the predictions'; None for zeros.

    Returns: an array like `predictions`, computed in at least float32; small errors keep their digits.
    Raises: TypeError for predictions that are not floating point; ValueError for shapes that do not
        match.
    Reference: Chen et al., 2019, Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder.
    """
    error = errors("log_cosh", predictions, targets)
    small = jnp.abs(error) < 1
    near = jnp.where(small, error, 0)  # cosh(e) = 1 + 2 sinh(e / 2)^2
    far = jnp.abs(jnp.where(small, 1, error))
    of_near = jnp.log1p(2 * jnp.sinh(near / 2) ** 2)
    of_far = far + (jnp.log1p(jnp.exp(-2 * far)) - math.log(2))
    return cast(jnp.where(small, of_near, of_far), dtype_of(predictions))
