"""Perceptron losses: how wrong the wrong decisions are."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import floating, like, same_shape
from .scores import lead_over_label


def perceptron_loss(predictor_outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """The perceptron loss of each entry: max(0, -y f).

    Args:
        predictor_outputs: f, the scores, floating point, any shape.
        targets: y, -1 or 1, of the same shape.

    Returns: an array like `predictor_outputs`, computed in at least float32.
    Raises: TypeError for scores that are not floating point; ValueError for unequal shapes.
    Reference: Rosenblatt, 1958, The Perceptron: A Probabilistic Model for Information Storage and
        Organization in the Brain.
    """
    f = widen(floating("perceptron_loss", "predictor_outputs", predictor_outputs))
    same_shape("perceptron_loss", predictor_outputs, targets)
    y = like("perceptron_loss", "targets", targets, "predictor_outputs", f)
    return cast(jnp.maximum(0, -y * f), dtype_of(predictor_outputs))


def multiclass_perceptron_loss(scores: ArrayLike, labels: ArrayLike) -> jax.Array:
    """By how much the best score exceeds the label's: max_j s_j - s_label.

    Args:
        scores: floating point, shape (..., classes).
        labels: integers in [0, classes), shape (...).

    Returns: the loss per example in the scores' dtype, computed in at least float32. A label out of
        range has loss NaN and gradient 0.
    Raises: TypeError for scores that are not floating point or labels that are not integers;
        ValueError for another shape, and for labels out of range that are Python's or NumPy's.
    Reference: Collins, 2002, Discriminative Training Methods for Hidden Markov Models: Theory and
        Experiments with Perceptron Algorithms.
    """
    return cast(lead_over_label("multiclass_perceptron_loss", scores, labels), dtype_of(scores))
