"""One cycle: up to the peak and down again, once in a run."""

from typing import Any

import jax

from ..core import schedule
from ..core.types import Numeric, Schedule
from .piecewise import interpolated
from .progress import check_positive, quotient


@schedule
def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: Numeric,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Rises linearly to the peak, returns to the first value, then falls to the last value.

    Args:
        transition_steps: total length in steps, positive.
        peak_value: the highest value.
        pct_start, pct_final: fractions of the run, in [0, 1], at which the peak is reached and the first
            value is reached again.
        div_factor: the first value is peak_value / div_factor.
        final_div_factor: the last value is the first value divided by this.

    Raises: ValueError if `transition_steps` is not positive.
    Reference: Smith and Topin, 2017, Super-Convergence, arXiv:1708.07120.

    Example:
        >>> v = gc.linear_onecycle_schedule(10, 1.0, pct_start=0.4, pct_final=0.8, div_factor=4.0)
        >>> [round(float(v(t)), 3) for t in (0, 2, 4, 8, 10)]
        [0.25, 0.625, 1.0, 0.25, 0.0]
    """
    check_positive("linear_onecycle_schedule", transition_steps=transition_steps)
    peak, middle = int(pct_start * transition_steps), int(pct_final * transition_steps)

    def value(count: Any) -> jax.Array:
        low = quotient(peak_value, div_factor)
        values = (low, peak_value, low, quotient(low, final_div_factor))
        return interpolated("linear", (0, peak, middle, transition_steps), values)(count)

    return value


@schedule
def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: Numeric,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Rises along half a cosine to the peak and falls along another.

    Args:
        transition_steps: total length in steps, positive.
        peak_value: the highest value.
        pct_start: fraction of the run, in [0, 1], at which the peak is reached.
        div_factor: the first value is peak_value / div_factor.
        final_div_factor: the last value is the first value divided by this.

    Raises: ValueError if `transition_steps` is not positive.
    Reference: Smith and Topin, 2017, Super-Convergence, arXiv:1708.07120.

    Example:
        >>> v = gc.cosine_onecycle_schedule(10, 1.0, pct_start=0.5, div_factor=4.0)
        >>> [round(float(v(t)), 3) for t in (0, 5, 10)]  # a quarter, the peak, almost nothing
        [0.25, 1.0, 0.0]
    """
    check_positive("cosine_onecycle_schedule", transition_steps=transition_steps)
    peak = int(pct_start * transition_steps)

    def value(count: Any) -> jax.Array:
        low = quotient(peak_value, div_factor)
        values = (low, peak_value, quotient(low, final_div_factor))
        return interpolated("cosine", (0, peak, int(transition_steps)), values)(count)

    return value
