"""Cross-entropy of a softmax."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core.dtypes import cast, dtype_of, widen
from .checks import floating

Axis = int | tuple[int, ...] | None


def _expand(where: Any, axis: Axis, ndim: int) -> Any:
    """A mask over examples becomes a mask over their classes."""
    if where is None or jnp.ndim(where) == ndim or axis is None:
        return where
    return jnp.expand_dims(where, axis)


def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Cross-entropy between label probabilities and the softmax of logits: -sum_i y_i log p_i.

    Args:
        logits: floating point, any shape.
        labels: probabilities (or one-hot labels) of the logits' shape.
        axis: the class axis or axes; None for all.
        where: booleans, True where an entry counts; of the logits' shape, or without the class axis.

    Returns: the loss per example in the logits' dtype, computed in at least float32. A class with
        label 0 adds nothing, even at a logit of -inf.
    Raises: TypeError for logits that are not floating point.
    Reference: Goodfellow, Bengio and Courville, 2016, Deep Learning, section 6.2.
    """
    x = widen(floating("softmax_cross_entropy", "logits", logits))
    y = jnp.asarray(labels, x.dtype)
    where = _expand(where, axis, x.ndim)
    log_p = jax.nn.log_softmax(x, axis, where=where)
    terms = jnp.where(y == 0, 0, y * log_p)
    return cast(-jnp.sum(terms, axis, where=where), dtype_of(logits))


def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: int | tuple[int, ...] = -1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Cross-entropy of the softmax of logits, for labels given as class numbers: -log p_label.

    Args:
        logits: floating point, e.g. shape (..., classes).
        labels: integers in [0, classes), the logits' shape without `axis`; an index into the
            flattened classes where `axis` is a tuple.
        axis: the class axis or axes.
        where: booleans, True where a class counts; of the logits' shape, or without the class axis.

    Returns: the loss per example, 0 where every class is masked, in the logits' dtype, computed in
        at least float32.
    Raises: TypeError for logits that are not floating point or labels that are not integers.
    Reference: Goodfellow, Bengio and Courville, 2016, Deep Learning, section 6.2.
    """
    name = "softmax_cross_entropy_with_integer_labels"
    x, index = floating(name, "logits", logits), jnp.asarray(labels)
    if not jnp.issubdtype(index.dtype, jnp.integer):
        raise TypeError(f"{name}: labels must be integers, received dtype {index.dtype}.")
    if not isinstance(axis, (int, tuple)):
        raise ValueError(f"{name}: axis must be an int or a tuple of ints, received {axis!r}.")
    where = _expand(where, axis, x.ndim)
    if isinstance(axis, tuple):
        last = tuple(range(-len(axis), 0))
        x = jnp.moveaxis(x, axis, last)
        flat = (*x.shape[: x.ndim - len(axis)], -1)
        x = x.reshape(flat)
        where = where if where is None else jnp.moveaxis(where, axis, last).reshape(flat)
        axis = -1
    expected = x.shape[: axis % x.ndim] + x.shape[axis % x.ndim + 1 :]
    if index.shape != expected:
        raise ValueError(
            f"{name}: labels have shape {index.shape}; expected {expected}, the logits' shape "
            f"{x.shape} without its class axis."
        )
    label_logits = jnp.take_along_axis(x, jnp.expand_dims(index, axis), axis).squeeze(axis)
    loss = jax.nn.logsumexp(widen(x), axis, where=where) - widen(label_logits)
    if where is not None:
        loss = jnp.where(jnp.any(where, axis), loss, 0)
    return cast(loss, dtype_of(logits))
