"""What every loss asks of its arguments."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core.dtypes import dtype_of, widen


def floating(name: str, what: str, x: Any) -> jax.Array:
    """`x` as an array; TypeError unless it is floating point."""
    if not jnp.issubdtype(dtype_of(x), jnp.floating):
        raise TypeError(f"{name}: {what} must be floating point, received dtype {dtype_of(x)}.")
    return jnp.asarray(x)


def errors(name: str, predictions: Any, targets: Any) -> jax.Array:
    """predictions - targets in at least float32; ValueError unless the shapes are equal."""
    predictions = floating(name, "predictions", predictions)
    if targets is None:
        return widen(predictions)
    if jnp.shape(targets) != predictions.shape:
        raise ValueError(
            f"{name}: predictions have shape {predictions.shape} but targets have shape "
            f"{jnp.shape(targets)}; expected equal shapes, since broadcasting hides mistakes."
        )
    wide = widen(predictions)
    return wide - jnp.asarray(targets, wide.dtype)
