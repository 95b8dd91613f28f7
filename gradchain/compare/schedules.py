"""The schedules of `--schedule`: each a factor that the learning rate is multiplied by."""

from collections.abc import Callable, Mapping

import gradchain as gc

from ..core.types import Schedule
from .errors import unknown

# Each makes a schedule from the number of steps of the whole run. Its largest value is 1.
SCHEDULES: Mapping[str, Callable[[int], Schedule]] = {
    "cosine": lambda steps: gc.cosine_decay_schedule(1.0, steps),
    "warmup_cosine": lambda steps: gc.warmup_cosine_decay_schedule(
        0.0, 1.0, max(1, steps // 10), max(2, steps)
    ),
    "linear": lambda steps: gc.linear_schedule(1.0, 0.0, steps),
    "exponential": lambda steps: gc.exponential_decay(1.0, steps, 0.01),
    "piecewise": lambda steps: gc.piecewise_constant_schedule(
        1.0, {max(1, steps // 2): 0.1, max(2, 3 * steps // 4): 0.1}
    ),
}


def find_schedule(name: str, steps: int) -> Schedule:
    """The schedule of this name over a number of steps."""
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    return SCHEDULES[name](steps)
