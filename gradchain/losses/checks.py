"""What every loss asks of its arguments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Range, dtype_of, widen

Axis = int | tuple[int, ...] | None


def floating(name: str, what: str, x: Any) -> jax.Array:
    """`x` as an array; TypeError unless it is floating point."""
    if not jnp.issubdtype(dtype_of(x), jnp.floating):
        raise TypeError(f"{name}: {what} must be floating point, received dtype {dtype_of(x)}.")
    return jnp.asarray(x)


def integers(
    name: str,
    labels: Any,
    shape: tuple[int, ...],
    classes: int,
    *,
    masked: bool = False,
    none_below_zero: bool = False,
) -> Any:
    """Labels of the given shape, and a mask of those that are no class.

    Python's and NumPy's labels are read, and one out of range is an error unless labels may be masked.
    JAX's are not, since reading them would wait for the device. With `none_below_zero` a negative label
    stands for an example without one, and is in range.
    """

    def outside(x: Any) -> Any:
        return x >= classes if none_below_zero else (x < 0) | (x >= classes)

    if not jnp.issubdtype(dtype_of(labels), jnp.integer):
        raise TypeError(f"{name}: labels must be integers, received dtype {dtype_of(labels)}.")
    if jnp.shape(labels) != shape:
        raise ValueError(
            f"{name}: labels have shape {jnp.shape(labels)}; expected {shape}, one integer for each "
            f"example of {classes} classes."
        )
    if not isinstance(labels, jax.Array) and not masked:
        host = np.asarray(labels)
        wrong = host[outside(host)]
        if wrong.size:
            raise ValueError(
                f"{name}: labels must be in [0, {classes}), received {wrong[0]}. Leave examples without "
                "a label out, or mask them (`where`, if the loss has it)."
            )
    index = jnp.asarray(labels)
    if index.dtype.itemsize < 4:  # class numbers may not fit
        index = index.astype(jnp.int32)
    return index, outside(index)


def like(name: str, what: str, x: Any, other: str, reference: jax.Array) -> jax.Array:
    """`x` in the shape and dtype of `reference`; ValueError unless it broadcasts to that shape."""
    shape = jnp.shape(x)
    if not _broadcasts(shape, reference.shape):
        raise ValueError(
            f"{name}: {other} have shape {reference.shape} but {what} have shape {shape}; expected the "
            f"same shape, or one that broadcasts to that of the {other}."
        )
    return jnp.broadcast_to(jnp.asarray(x, reference.dtype), reference.shape)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(shape[::-1], to[::-1], strict=False))


def paired(name: str, axis: Axis, **arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Arrays of vectors along `axis`, broadcast to one shape.

    Vectors must be equally long. One array may serve all examples of another (shapes (n,) and
    (batch, n)); arrays with as many axes as each other may stand for pairs, (a, 1, n) and (1, b, n).
    Raises: ValueError for other shapes, such as (batch, n) and (batch, 1, n), which would be
        broadcast to (batch, batch, n).
    """
    shapes = {what: jnp.shape(x) for what, x in arrays.items()}
    ndim = max(len(shape) for shape in shapes.values())
    padded = [(1,) * (ndim - len(shape)) + shape for shape in shapes.values()]
    along = axes(name, axis, ndim)
    whole = tuple(max(sizes, key=lambda n: (n != 1, n)) for sizes in zip(*padded, strict=True))
    if (
        any({shape[i] for shape in padded} != {whole[i]} for i in along)
        or not all(_broadcasts(shape, whole) for shape in padded)
        or (len({len(shape) for shape in shapes.values()}) > 1 and whole not in shapes.values())
    ):
        told = ", ".join(f"{what} of shape {shape}" for what, shape in shapes.items())
        raise ValueError(
            f"{name}: received {told}; expected equal shapes, or shapes that differ only where one has "
            f"size 1 outside axis {axis}."
        )
    return tuple(jnp.broadcast_to(x, whole) for x in arrays.values())


def axes(name: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as numbers from 0; ValueError for one that does not exist."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    if not all(isinstance(i, (int, np.integer)) and -ndim <= i < ndim for i in given):
        raise ValueError(f"{name}: axis must name axes of an array of {ndim} axes, received {axis!r}.")
    return tuple(int(i) % ndim for i in given)


def mask_like(name: str, where: Any, x: jax.Array, axis: Axis) -> jax.Array | None:
    """A mask of entries or of whole examples, as booleans of `x`'s shape; None stays None."""
    if where is None:
        return None
    mask, along = jnp.asarray(where).astype(bool), axes(name, axis, x.ndim)
    if mask.ndim != x.ndim and mask.shape == tuple(n for i, n in enumerate(x.shape) if i not in along):
        mask = jnp.expand_dims(mask, along)
    if not _broadcasts(mask.shape, x.shape):
        raise ValueError(
            f"{name}: where has shape {mask.shape}; expected {x.shape}, or that without axis {axis}."
        )
    return jnp.broadcast_to(mask, x.shape)


def errors(name: str, predictions: Any, targets: Any) -> jax.Array:
    """predictions - targets in at least float32; targets may broadcast to the predictions."""
    wide = widen(floating(name, "predictions", predictions))
    return wide if targets is None else wide - like(name, "targets", targets, "predictions", wide)


def same_shape(name: str, predictions: Any, targets: Any) -> None:
    """ValueError unless both have one shape."""
    if targets is not None and jnp.shape(targets) != jnp.shape(predictions):
        raise ValueError(
            f"{name}: predictions have shape {jnp.shape(predictions)} but targets have shape "
            f"{jnp.shape(targets)}; expected equal shapes, since broadcasting hides mistakes."
        )


def in_range(name: str, allowed: Range, **numbers: Any) -> None:
    """ValueError for a Python number outside its range; arrays and tracers pass."""
    for what, value in numbers.items():
        if isinstance(value, (int, float)) and not allowed.holds(value):
            raise ValueError(f"{name}: {what} must be {allowed.text}, received {value}.")
