"""Decay that is slow first and fast at the end."""

from typing import Any

import jax

from ..core import schedule
from ..core.types import Numeric, Schedule
from .progress import blend, check_positive, done_and_left


@schedule
def rex_schedule(init_value: Numeric, decay_steps: int, end_value: Numeric = 0.0) -> Schedule:
    """Decays along a reflected exponential, which is above the linear decay everywhere.

    v(t) = end_value + (init_value - end_value) (1 - x) / (1/2 + (1 - x) / 2) with
    x = t / decay_steps clipped to [0, 1]. Both ends are exact.

    Args:
        init_value, end_value: the values at step 0 and from `decay_steps` on.
        decay_steps: length in steps, positive; usually the whole budget.

    Raises: ValueError if `decay_steps` is not positive.
    Reference: Chen, Wolfe and Kyrillidis, 2021, REX: Revisiting Budgeted Training with an Improved
        Schedule, arXiv:2107.04197.

    Example:
        >>> v = gc.rex_schedule(1.0, decay_steps=4)
        >>> [round(float(v(t)), 3) for t in (0, 2, 4)]  # 2/3 halfway, where a line has 1/2
        [1.0, 0.667, 0.0]
    """
    check_positive("rex_schedule", decay_steps=decay_steps)

    def value(count: Any) -> jax.Array:
        _, left = done_and_left(count, decay_steps)
        return blend(init_value, end_value, 2 * left / (1 + left))

    return value
