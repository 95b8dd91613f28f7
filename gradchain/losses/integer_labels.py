"""Cross-entropy of a softmax, for labels that are class numbers."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import axes, floating, integers, mask_like
from .safe import exp_sum

Entries = tuple[jax.Array, jax.Array, jax.Array | None]  # logits, labels and mask, classes last


def _masked(x: jax.Array, where: jax.Array | None) -> jax.Array:
    return x if where is None else jnp.where(where, x, -jnp.inf)


def _label_logits(x: jax.Array, index: jax.Array) -> jax.Array:
    """The label's logit of each row. Those of half precision are moved as integers, since for
    arithmetic's sake XLA would first copy the whole array to float32 on a CPU."""
    bits = x.view(jnp.uint16) if x.dtype.itemsize == 2 else x
    return jnp.take_along_axis(bits, index[..., None], -1, mode="clip").view(x.dtype)


@jax.custom_jvp
def _cross_entropy(
    x: jax.Array, index: jax.Array, where: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    top, total = exp_sum(_masked(x, where), -1)
    return jnp.log(total) + top - widen(_label_logits(x, index)), top, total


@_cross_entropy.defjvp
def _cross_entropy_jvp(primals: Entries, tangents: tuple[jax.Array, Any, Any]) -> Any:
    """The slope is softmax - one-hot, written down so that the backward pass is one sweep over the
    logits, without a scatter."""
    loss, top, total = _cross_entropy(*primals)

    def slopes(entries: Entries, top: jax.Array, total: jax.Array, dx: jax.Array) -> Any:
        x, index, where = entries
        share = 1 / jnp.where(total > 0, total, 1)
        p = jnp.exp(widen(_masked(x, where)) - top) * share
        hot = lax.broadcasted_iota(index.dtype, x.shape, x.ndim - 1) == index[..., None]
        dx = dx.astype(p.dtype)
        along_p = jnp.sum(p * dx, -1, keepdims=True)
        return jnp.sum(jnp.where(hot, p - 1, p) * dx, -1, keepdims=True), total * along_p

    if dtype_of(primals[0]) != loss.dtype:  # do not keep float32 copies of half precision logits
        slopes = jax.checkpoint(slopes)
    dloss, dtotal = slopes(primals, top, total, tangents[0])
    return (loss, top, total), (dloss, jnp.zeros_like(top), dtotal)


def _classes_last(x: jax.Array, along: tuple[int, ...], shape: tuple[int, ...]) -> jax.Array:
    return jnp.moveaxis(x, along, tuple(range(-len(along), 0))).reshape(*shape, -1)


def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike, labels: ArrayLike, axis: int | tuple[int, ...] = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Cross-entropy of the softmax of logits, for labels given as class numbers: -log p_label.

    Args:
        logits: floating point, e.g. shape (..., classes).
        labels: integers below `classes`, the logits' shape without `axis`; an index into the flattened
            classes where `axis` is a tuple. A negative one (-1 or -100, as padding has) says that the
            example has none.
        axis: the class axis or axes.
        where: booleans, True where a class counts; of the logits' shape, or without the class axis.
            The label's own logit counts even if it is masked, as long as another class is not.

    Returns: the loss per example in the logits' dtype, computed in at least float32; 0 where every
        class is masked or the label is negative. A label of `classes` or more has loss NaN, gradient 0.
    Raises: TypeError for logits that are not floating point or labels that are not integers;
        ValueError for another shape, and for labels too large that are Python's or NumPy's.
    Reference: Goodfellow, Bengio and Courville, 2016, Deep Learning, section 6.2.
    """
    name = "softmax_cross_entropy_with_integer_labels"
    x = floating(name, "logits", logits)
    if not isinstance(axis, (int, tuple)):
        raise ValueError(f"{name}: axis must be an int or a tuple of ints, received {axis!r}.")
    along, mask = axes(name, axis, x.ndim), mask_like(name, where, x, axis)
    shape = tuple(n for i, n in enumerate(x.shape) if i not in along)
    x = _classes_last(x, along, shape)
    mask = None if mask is None else _classes_last(mask, along, shape)
    masked = mask is not None
    index, wrong = integers(name, labels, shape, x.shape[-1], masked=masked, none_below_zero=True)
    loss = jnp.where(wrong, jnp.nan, _cross_entropy(x, index, mask)[0].squeeze(-1))
    counts = index >= 0 if mask is None else (index >= 0) & jnp.any(mask, -1)
    loss = jnp.where(counts, loss, 0)
    return cast(loss, dtype_of(logits))
