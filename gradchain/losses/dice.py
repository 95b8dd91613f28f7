"""Dice losses: the overlap of predicted and true segments."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from ..core import NON_NEGATIVE, cast, dtype_of, widen
from .checks import Axis, floating, in_range


def _shapes(name: str, predictions: ArrayLike, targets: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Both in at least float32, with a class axis that one of them may lack if there is one class."""
    x = widen(floating(name, "predictions", predictions))
    t = jnp.asarray(targets, x.dtype)
    if x.ndim == t.ndim - 1:
        x = x[..., None]
    if t.ndim == x.ndim - 1:
        t = t[..., None]
    if x.shape != t.shape or x.ndim == 0:
        raise ValueError(
            f"{name}: predictions have shape {jnp.shape(predictions)} but targets have shape "
            f"{jnp.shape(targets)}; expected one shape (..., classes). Make class numbers one-hot first."
        )
    return x, t


def _probabilities(name: str, x: jax.Array, from_logits: bool) -> jax.Array:
    if from_logits:
        return jax.nn.sigmoid(x) if x.shape[-1] == 1 else jax.nn.softmax(x, -1)
    if not isinstance(x, Tracer):
        total = jnp.sum(x, -1)
        wrong = (x < 0) | (x > 1) if x.shape[-1] == 1 else ~jnp.isclose(total, 1, rtol=1e-5)
        if jnp.any(wrong):
            raise ValueError(
                f"{name}: predictions must be valid probability distributions, in [0, 1] with sum 1 over "
                f"the classes; received sums from {jnp.min(total):.6f} to {jnp.max(total):.6f}. Logits "
                "need apply_softmax=True (apply_sigmoid=True)."
            )
    return x


def _overlap(
    name: str, p: jax.Array, t: jax.Array, smooth: Any, alpha: Any, beta: Any, axis: Any
) -> jax.Array:
    """1 - (I + smooth) / (I + alpha (P - I) + beta (T - I) + smooth) per class."""
    in_range(name, NON_NEGATIVE, smooth=smooth, alpha=alpha, beta=beta)
    smooth, alpha, beta = (jnp.asarray(number, p.dtype) for number in (smooth, alpha, beta))
    axis = tuple(range(1, p.ndim - 1)) if axis is None else axis
    both, predicted, true = (jnp.sum(x, axis) for x in (p * t, p, t))
    whole = both + alpha * (predicted - both) + beta * (true - both) + smooth
    empty = whole == 0  # neither predicted nor there: a perfect overlap
    return 1 - jnp.where(empty, 1, (both + smooth) / jnp.where(empty, 1, whole))


def dice_loss(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    class_weights: ArrayLike | None = None,
    smooth: ArrayLike = 1.0,
    alpha: ArrayLike = 0.5,
    beta: ArrayLike = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: ArrayLike | Axis = None,
) -> jax.Array:
    """1 - (I + smooth) / (I + alpha (P - I) + beta (T - I) + smooth) per class, reduced over classes.

    P, T and I are the sums of predicted probabilities, of targets and of their products over space.
    alpha weighs false positives, beta false negatives: 0.5 each is Dice, others are Tversky's index.

    Args:
        predictions: logits, floating point, shape (batch, ..., classes); with one class its axis may be
            left out here or in the targets.
        targets: one-hot labels or probabilities, of that shape.
        class_weights: shape (classes,), multiplied with the losses of classes; None for 1.
        smooth, alpha, beta: at least 0.
        apply_softmax: whether to turn logits into probabilities (by a sigmoid for one class).
        reduction: "mean", "sum" or "none", over classes.
        ignore_background: leave out class 0, where there is more than one.
        axis: the axes to sum over; None for all but the first and the last.

    Returns: shape (batch,), or (batch, classes) for "none"; in the predictions' dtype, computed in at
        least float32. A class neither predicted nor there has loss 0, even for smooth = 0.
    Raises: TypeError for predictions that are not floating point; ValueError for shapes that do not
        match, numbers out of range and, outside `jit` and `grad`, predictions that are no probabilities.
    Reference: Milletari, Navab and Ahmadi, 2016, V-Net: Fully Convolutional Neural Networks for
        Volumetric Medical Image Segmentation, arXiv:1606.04797.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"dice_loss: reduction must be 'mean', 'sum' or 'none', received {reduction!r}.")
    x, t = _shapes("dice_loss", predictions, targets)
    loss = _overlap(
        "dice_loss", _probabilities("dice_loss", x, apply_softmax), t, smooth, alpha, beta, axis
    )
    if class_weights is not None:
        if jnp.shape(class_weights) != x.shape[-1:]:
            raise ValueError(
                f"dice_loss: class_weights have shape {jnp.shape(class_weights)}; expected {x.shape[-1:]}."
            )
        loss = loss * jnp.broadcast_to(jnp.asarray(class_weights, x.dtype), loss.shape)
    if ignore_background and x.shape[-1] > 1:
        loss = loss[..., 1:]
    if reduction != "none":
        loss = jnp.mean(loss, -1) if reduction == "mean" else jnp.sum(loss, -1)
    return cast(loss, dtype_of(predictions))


def multiclass_generalized_dice_loss(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    smooth: ArrayLike = 1.0,
    apply_softmax: bool = True,
    ignore_background: bool = False,
) -> jax.Array:
    """The mean of `dice_loss` over batch and classes, a class weighing 1 / (its frequency)^2.

    Args: predictions and targets, shape (batch, ..., classes); the others, as `dice_loss`.
    Returns: a scalar in the predictions' dtype, computed in at least float32.
    Raises: as `dice_loss`.
    Reference: Sudre et al., 2017, Generalised Dice overlap as a deep learning loss function for highly
        unbalanced segmentations, arXiv:1707.03237.
    """
    name = "multiclass_generalized_dice_loss"
    x, t = _shapes(name, predictions, targets)
    rarity = 1 / (jnp.sum(t, tuple(range(t.ndim - 1))) ** 2 + 1e-7)
    weights = rarity / jnp.sum(rarity) * rarity.size
    loss = _overlap(name, _probabilities(name, x, apply_softmax), t, smooth, 0.5, 0.5, None)
    loss = loss * jnp.broadcast_to(weights, loss.shape)
    skip = int(ignore_background and x.shape[-1] > 1)
    return cast(jnp.mean(loss[..., skip:]), dtype_of(predictions))


def binary_dice_loss(
    predictions: ArrayLike, targets: ArrayLike, *, smooth: ArrayLike = 1.0, apply_sigmoid: bool = True
) -> jax.Array:
    """`dice_loss` of one class.

    Args:
        predictions: logits, or probabilities without `apply_sigmoid`; shape (batch, ...), or with a last
            axis of size 1.
        targets: 0 or 1, of the same shape; smooth, at least 0.

    Returns, Raises: as `dice_loss`.
    """
    name = "binary_dice_loss"
    if jnp.ndim(predictions) == jnp.ndim(targets) and jnp.shape(predictions)[-1:] != (1,):
        predictions, targets = jnp.expand_dims(predictions, -1), jnp.expand_dims(targets, -1)
    x, t = _shapes(name, predictions, targets)
    loss = _overlap(name, _probabilities(name, x, apply_sigmoid), t, smooth, 0.5, 0.5, None)
    return cast(jnp.mean(loss, -1), dtype_of(predictions))
