"""Decay or growth along a power of the remaining steps."""

from typing import Any

import jax

from ..core import schedule
from ..core.types import Numeric, Schedule
from .constant import constant
from .progress import blend, done_and_left, is_known, power, real


def polynomial(init_value: Any, end_value: Any, exponent: Any, steps: Any, begin: Any) -> Schedule:
    """From `init_value` to `end_value`; `init_value` throughout if there are no steps."""
    if is_known(steps) and steps <= 0:
        return lambda count: constant(real(init_value), count)
    begin = max(begin, 0) if is_known(begin) else begin

    def value(count: Any) -> jax.Array:
        _, left = done_and_left(count, steps, begin)
        return blend(init_value, end_value, power(left, exponent))

    return value


@schedule
def polynomial_schedule(
    init_value: Numeric,
    end_value: Numeric,
    power: Numeric,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """Goes from one value to another along a power of the remaining steps.

    v(t) = end_value + (init_value - end_value) (1 - x)^power with
    x = (t - transition_begin) / transition_steps clipped to [0, 1]. Both ends are exact.

    Args:
        init_value, end_value: the values before and after.
        power: 1 is linear; above 1 it is steep first.
        transition_steps: length in steps; 0 or less keeps `init_value`.
        transition_begin: first step of the transition; less than 0 counts as 0.

    Example:
        >>> v = gc.polynomial_schedule(1.0, 0.0, power=2, transition_steps=4)
        >>> [float(v(t)) for t in (0, 1, 2, 4)]  # (1 - t / 4)^2
        [1.0, 0.5625, 0.25, 0.0]
    """
    return polynomial(init_value, end_value, power, transition_steps, transition_begin)


@schedule
def linear_schedule(
    init_value: Numeric, end_value: Numeric, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """Goes from one value to another in a straight line.

    v(t) = init_value + (end_value - init_value) x with
    x = (t - transition_begin) / transition_steps clipped to [0, 1]. Both ends are exact.

    Args:
        init_value, end_value: the values before and after.
        transition_steps: length in steps; 0 or less keeps `init_value`.
        transition_begin: first step of the transition; less than 0 counts as 0.

    Example:
        >>> v = gc.linear_schedule(1.0, 0.0, transition_steps=4)
        >>> [float(v(t)) for t in (0, 1, 2, 4, 9)]
        [1.0, 0.75, 0.5, 0.0, 0.0]
    """
    return polynomial(init_value, end_value, 1, transition_steps, transition_begin)
