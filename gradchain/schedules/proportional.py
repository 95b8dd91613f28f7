"""A schedule that follows another one."""

from typing import Any

import jax

from ..core import relaxed_promotion, schedule as remembered
from ..core.types import Numeric, Schedule
from .progress import real


@remembered
def proportional_schedule(
    schedule: Schedule, low: Numeric, high: Numeric, new_low: Numeric, new_high: Numeric
) -> Schedule:
    """Follows another schedule in a range of its own.

    v(t) = new_low + (new_high - new_low) (schedule(t) - low) / (high - low), so from new_low where the
    schedule is low to new_high where it is high. `gsam` wants its radius to follow the learning rate so.

    Args:
        schedule: a function of the step count.
        low, high: two different values of it.
        new_low, new_high: the values there.

    Raises: ValueError if low and high are the same number.
    Reference: Zhuang et al., 2022, Surrogate Gap Minimization Improves Sharpness-Aware Training,
        arXiv:2203.08065.

    Example:
        >>> rate = gc.linear_schedule(1.0, 0.0, 4)
        >>> v = gc.proportional_schedule(rate, 0.0, 1.0, 10.0, 20.0)
        >>> [float(v(t)) for t in (0, 2, 4)]  # from 20 to 10 as the rate falls from 1 to 0
        [20.0, 15.0, 10.0]
    """
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low == high:
        raise ValueError(f"proportional_schedule: low and high must be different, received {low} for both.")

    def value(count: Any) -> jax.Array:
        with relaxed_promotion():
            share = (real(schedule(count)) - real(low)) / (real(high) - real(low))
            return (1 - share) * new_low + share * new_high  # exact at both ends

    return value
