"""Label smoothing."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import Axis, axes, floating, mask_like


def smooth_labels(
    labels: ArrayLike, alpha: ArrayLike, *, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Labels mixed with the uniform distribution: (1 - alpha) labels + alpha / classes.

    Args:
        labels: probabilities (or one-hot labels), floating point, any shape.
        alpha: the share of the uniform distribution, usually in [0, 1]; a number, or an array that
            broadcasts to the labels.
        axis: the class axis or axes; None for all.
        where: booleans, True where a class counts; of the labels' shape, or without the class axis. Only
            these are counted; entries that are masked themselves have no meaning.

    Returns: an array like `labels`, computed in at least float32. Where no class counts, the labels are
        only scaled.
    Raises: TypeError for labels that are not floating point.
    Reference: Müller, Kornblith and Hinton, 2019, When Does Label Smoothing Help?, arXiv:1906.02629.
    """
    y = widen(floating("smooth_labels", "labels", labels))
    share, mask = jnp.asarray(alpha, y.dtype), mask_like("smooth_labels", where, y, axis)
    if mask is None:
        classes = math.prod(y.shape[i] for i in axes("smooth_labels", axis, y.ndim))
        return cast((1 - share) * y + share / classes, dtype_of(labels))
    number = jnp.sum(mask, axis, keepdims=True).astype(y.dtype)
    uniform = jnp.where(number > 0, 1 / jnp.maximum(number, 1), 0)
    return cast((1 - share) * y + share * uniform, dtype_of(labels))
