"""Sums of probabilities and logarithms that stay finite where a probability is 0."""

import functools

import jax
import jax.numpy as jnp

from ..core import widen
from .checks import Axis

NEVER = -1e30
"""log 0, but finite, so that no difference of logarithms is NaN."""


def log(x: jax.Array) -> jax.Array:
    """The logarithm, NEVER at 0, where its gradient is 0."""
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1)), NEVER)


@jax.jit
def times(weight: jax.Array, value: jax.Array) -> jax.Array:
    """weight * value, where 0 times an infinity is 0, and so is its gradient."""
    return weight * jnp.where((weight == 0) & jnp.isinf(value), 0, value)


@functools.partial(jax.jit, static_argnums=1)
def log_softmax(x: jax.Array, axis: Axis, where: jax.Array | None = None) -> jax.Array:
    """The logarithm of the softmax over the entries that count; 0 at the others.

    In a row of -inf only, every class has log-probability -inf, with gradient 0.
    """
    if where is not None:
        x = jnp.where(where, x, -jnp.inf)
    top, total = exp_sum(x, axis)
    log_p = x - (jnp.log(jnp.where(total > 0, total, 1)) + top)
    return log_p if where is None else jnp.where(where, log_p, 0)


def exp_sum(x: jax.Array, axis: Axis) -> tuple[jax.Array, jax.Array]:
    """The largest entry (0 if that is infinite) and the sum of exp(x - largest), in at least float32.

    Both keep the axis. `x` is widened entry by entry: no copy of half precision in float32 is made.
    """
    top = widen(jax.lax.stop_gradient(jnp.max(x, axis, keepdims=True)))
    top = jnp.where(jnp.isfinite(top), top, 0)
    return top, jnp.sum(jnp.exp(widen(x) - top), axis, keepdims=True)
