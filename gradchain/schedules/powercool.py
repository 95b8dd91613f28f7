"""A constant value, then a power of the remaining steps."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import schedule
from ..core.types import Numeric, Schedule
from .polynomial import polynomial
from .progress import check_positive, is_known, power, real, until


@schedule
def powercool_schedule(
    init_value: Numeric,
    total_steps: int,
    coefficient: Numeric | None = None,
    transition_begin: int | None = None,
    exponent: Numeric = 1.2,
) -> Schedule:
    """A constant, bounded above by a power of the steps that remain: PowerCool.

    v(t) = min(init_value, coefficient max(0, total_steps - t)^exponent).

    Say where the fall begins by one of `coefficient` and `transition_begin` = B, for which the
    coefficient is init_value / (total_steps - B)^exponent.

    Args:
        init_value: the value until the fall.
        total_steps: length of the run in steps, positive; the value is 0 from there on.
        coefficient: factor of the power, positive.
        transition_begin: first step of the fall, in [0, total_steps).
        exponent: positive; 1.2 in the records of modded-nanogpt, 1 is a line.

    Raises: ValueError for numbers out of range, or unless one of the two is given.
    Reference: Jordan et al., 2024, modded-nanogpt: Speedrunning the NanoGPT baseline.

    Example:
        >>> v = gc.powercool_schedule(1.0, total_steps=10, transition_begin=6, exponent=2.0)
        >>> [round(float(v(t)), 4) for t in (0, 6, 8, 9, 10)]  # ((10 - t) / 4)^2 at last
        [1.0, 1.0, 0.25, 0.0625, 0.0]
    """
    name = "powercool_schedule"
    check_positive(name, total_steps=total_steps, exponent=exponent)
    if (coefficient is None) == (transition_begin is None):
        raise ValueError(
            f"{name}: give one of coefficient and transition_begin, received coefficient={coefficient!r} "
            f"and transition_begin={transition_begin!r}."
        )
    if transition_begin is not None:
        if is_known(transition_begin) and is_known(total_steps) and not 0 <= transition_begin < total_steps:
            raise ValueError(
                f"{name}: transition_begin must be at least 0 and before the end, total_steps="
                f"{total_steps!r}; received {transition_begin!r}."
            )
        return polynomial(init_value, 0.0, exponent, total_steps - transition_begin, transition_begin)
    check_positive(name, coefficient=coefficient)

    def value(count: Any) -> jax.Array:
        left = real(until(count, total_steps))
        # No slope where nothing is left: that of a power below 1 is infinite.
        bound = real(coefficient) * power(jnp.where(left > 0, left, 1), exponent)
        return jnp.where(left > 0, jnp.minimum(real(init_value), bound), 0)

    return value
