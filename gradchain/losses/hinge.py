"""Hinge losses: a margin of 1 between the right class and the others."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import floating, like
from .scores import lead_over_label


def hinge_loss(predictor_outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """The hinge loss of each entry: max(0, 1 - y f).

    Args:
        predictor_outputs: f, the scores, floating point, any shape.
        targets: y, -1 or 1, of a shape that broadcasts to the scores'.

    Returns: an array like `predictor_outputs`, computed in at least float32.
    Raises: TypeError for scores that are not floating point; ValueError for shapes that do not match.
    Reference: Cortes and Vapnik, 1995, Support-Vector Networks.
    """
    f = widen(floating("hinge_loss", "predictor_outputs", predictor_outputs))
    y = like("hinge_loss", "targets", targets, "predictor_outputs", f)
    return cast(jnp.maximum(0, 1 - y * f), dtype_of(predictor_outputs))


def multiclass_hinge_loss(scores: ArrayLike, labels: ArrayLike) -> jax.Array:
    """How far the label's score falls short of beating every other by 1.

    max(0, 1 + max_{j != label} s_j - s_label)

    Args:
        scores: floating point, shape (..., classes).
        labels: integers in [0, classes), shape (...).

    Returns: the loss per example in the scores' dtype, computed in at least float32. A label out of
        range has loss NaN and gradient 0.
    Raises: TypeError for scores that are not floating point or labels that are not integers;
        ValueError for another shape, and for labels out of range that are Python's or NumPy's.
    Reference: Crammer and Singer, 2001, On the Algorithmic Implementation of Multiclass Kernel-based
        Vector Machines.
    """
    return cast(lead_over_label("multiclass_hinge_loss", scores, labels, margin=1.0), dtype_of(scores))
