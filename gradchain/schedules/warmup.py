"""A linear rise to the peak, then a decay."""

from typing import Any

from ..core import schedule
from ..core.types import Numeric, ScalarOrSchedule, Schedule
from .cosine import cosine
from .exponential import exponential_decay
from .join import joined
from .polynomial import polynomial
from .progress import is_known
from .resume import rewarmup_schedule


@schedule
def warmup_constant_schedule(init_value: Numeric, peak_value: Numeric, warmup_steps: int) -> Schedule:
    """Rises linearly to the peak and stays there.

    Args:
        init_value, peak_value: the values at step 0 and from `warmup_steps` on.
        warmup_steps: length of the rise in steps; 0 or less keeps `init_value`.

    Example:
        >>> v = gc.warmup_constant_schedule(0.0, 1.0, warmup_steps=2)
        >>> [float(v(t)) for t in (0, 1, 2, 100)]
        [0.0, 0.5, 1.0, 1.0]
    """
    return polynomial(init_value, peak_value, 1, warmup_steps, 0)


def warmed_up(name: str, learning_rate: ScalarOrSchedule, steps: int | None) -> ScalarOrSchedule:
    """The number or schedule times min(1, t / steps), a linear rise from 0; `name` is the factory's.

    A schedule counts the steps of the rise too. None or 0 steps mean no warm-up.
    """
    if steps is None or (is_known(steps) and steps == 0):
        return learning_rate
    if is_known(steps) and not steps > 0:
        raise ValueError(f"{name}: warmup_steps must be at least 0, received {steps!r}.")
    if callable(learning_rate):
        return rewarmup_schedule(learning_rate, 0, steps)
    return warmup_constant_schedule(0.0, learning_rate, steps)


@schedule
def warmup_cosine_decay_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    warmup_steps: int,
    decay_steps: int,
    end_value: Numeric = 0.0,
    exponent: Numeric = 1.0,
) -> Schedule:
    """Rises linearly to the peak, then decays along half a cosine.

    Args:
        init_value, peak_value: the values at step 0 and at `warmup_steps`.
        warmup_steps: length of the rise in steps.
        decay_steps: total length in steps, including the rise; more than `warmup_steps`.
        end_value: the value from `decay_steps` on; a peak of 0 stays 0.
        exponent: power of the cosine.

    Raises: ValueError if `decay_steps` is not more than `warmup_steps`.
    Reference: Loshchilov and Hutter, 2016, SGDR, arXiv:1608.03983.

    Example:
        >>> v = gc.warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=2, decay_steps=6)
        >>> [round(float(v(t)), 3) for t in (0, 1, 2, 4, 6)]  # decay_steps counts the warmup
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    steps: Any = decay_steps - warmup_steps
    if is_known(steps) and not steps > 0:
        raise ValueError(
            f"warmup_cosine_decay_schedule: decay_steps must be more than warmup_steps "
            f"({warmup_steps!r}), since it includes them; received {decay_steps!r}."
        )
    no_peak = is_known(peak_value) and isinstance(peak_value, (int, float)) and peak_value == 0
    rise = polynomial(init_value, peak_value, 1, warmup_steps, 0)
    fall = cosine(peak_value, 0.0 if no_peak else end_value, steps, exponent)
    return joined((rise, fall), (warmup_steps,))


@schedule
def warmup_exponential_decay_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: Numeric,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Numeric | None = None,
) -> Schedule:
    """Rises linearly to the peak, then decays by a constant factor per period.

    Args:
        init_value, peak_value: the values at step 0 and at `warmup_steps`.
        warmup_steps: length of the rise in steps.
        transition_steps: length of a period in steps.
        decay_rate: factor per period, positive.
        transition_begin: steps from the peak to the beginning of the decay.
        staircase: True decays at the end of each period only.
        end_value: a lower bound for a rate below 1, otherwise an upper bound.

    Example:
        >>> v = gc.warmup_exponential_decay_schedule(0.0, 1.0, 2, transition_steps=1, decay_rate=0.5)
        >>> [float(v(t)) for t in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    rise = polynomial(init_value, peak_value, 1, warmup_steps, 0)
    fall = exponential_decay(
        peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value
    )
    return joined((rise, fall), (warmup_steps,))
