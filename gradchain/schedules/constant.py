"""The schedule that does not change."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import schedule
from ..core.types import Numeric, Schedule
from .progress import real


def constant(value: Any, count: Any) -> jax.Array:
    """`value` in the shape of `count`. Integers stay integers: some schedules give a number of steps."""
    value = jnp.asarray(value)
    value = real(value) if jnp.issubdtype(value.dtype, jnp.floating) else jnp.array(value)
    return jnp.broadcast_to(value, jnp.broadcast_shapes(jnp.shape(count), value.shape))


@schedule
def constant_schedule(value: Numeric) -> Schedule:
    """The same value at every step.

    Args: value, a number or an array; an integer stays one.

    Example:
        >>> v = gc.constant_schedule(0.5)
        >>> [float(v(t)) for t in (0, 10, 1000)]
        [0.5, 0.5, 0.5]
    """
    return lambda count: constant(value, count)
