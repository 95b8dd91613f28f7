"""A schedule times a number."""

from typing import Any

import jax

from ..core import relaxed_promotion, schedule as remembered
from ..core.types import Numeric, Schedule
from .progress import real


@remembered
def scaled_schedule(schedule: Schedule, factor: Numeric) -> Schedule:
    """A schedule times a number: v(t) = factor schedule(t).

    Args: schedule, a function of the step count; factor, such as 0.1.

    Example:
        >>> v = gc.scaled_schedule(gc.linear_schedule(1.0, 0.0, 2), 0.5)
        >>> [float(v(t)) for t in range(3)]
        [0.5, 0.25, 0.0]
    """
    shared = jax.jit(schedule)  # one trace for all factors

    def value(count: Any) -> jax.Array:
        with relaxed_promotion():
            return real(shared(count)) * factor

    return value
