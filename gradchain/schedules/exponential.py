"""Decay by a constant factor per period."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import schedule
from ..core.types import Numeric, Schedule
from .constant import constant
from .progress import is_known, number, quotient, real, since


@schedule
def exponential_decay(
    init_value: Numeric,
    transition_steps: int,
    decay_rate: Numeric,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Numeric | None = None,
) -> Schedule:
    """Multiplies by `decay_rate` once per `transition_steps`.

    v(t) = init_value decay_rate^((t - transition_begin) / transition_steps).

    Args:
        init_value: the value up to `transition_begin`.
        transition_steps: length of a period in steps; 0 or less keeps `init_value`.
        decay_rate: factor per period, positive; 0 keeps `init_value`.
        transition_begin: first step of the decay; less than 0 counts as 0.
        staircase: True decays at the end of each period only.
        end_value: a lower bound for a rate below 1, otherwise an upper bound.

    Example:
        >>> v = gc.exponential_decay(1.0, transition_steps=10, decay_rate=0.25)
        >>> [round(float(v(t)), 4) for t in (0, 5, 10, 20)]  # a quarter every 10 steps
        [1.0, 0.5, 0.25, 0.0625]
    """
    steps, rate = number(transition_steps), number(decay_rate)
    if (is_known(steps) and steps <= 0) or (is_known(rate) and jnp.ndim(rate) == 0 and rate == 0):
        return lambda count: constant(real(init_value), count)
    begin = max(transition_begin, 0) if is_known(transition_begin) else transition_begin

    def value(count: Any) -> jax.Array:
        n = since(count, begin)
        if staircase and jnp.issubdtype(n.dtype, jnp.integer) and isinstance(steps, int):
            periods = real(n // min(steps, jnp.iinfo(n.dtype).max))
        else:
            periods = quotient(n, steps)
            periods = jnp.floor(periods) if staircase else periods
        decayed = real(init_value) * real(rate) ** periods
        if end_value is None:
            return decayed
        bound = real(end_value)
        return jnp.where(real(rate) < 1, jnp.maximum(decayed, bound), jnp.minimum(decayed, bound))

    return value
