"""A warm-up after a restart."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import schedule as remembered
from ..core.types import Numeric, Schedule
from .progress import blend, check_positive, done_and_left, reached, real


@remembered
def rewarmup_schedule(
    schedule: Schedule, resume_step: int, warmup_steps: int, init_value: Numeric = 0.0
) -> Schedule:
    """Any schedule, with a warm-up after a restart: for new data, or a new optimizer state.

    v(t) = init_value + (schedule(t) - init_value) x with x = (t - resume_step) / warmup_steps clipped
    to [0, 1], from `resume_step` on; schedule(t) before it.

    Args:
        schedule: a function of the step count.
        resume_step: the step of the checkpoint, at least 0.
        warmup_steps: length of the rise in steps, positive.
        init_value: the value at `resume_step`.

    Raises: ValueError if `warmup_steps` is not positive.
    Reference: Ibrahim et al., 2024, Simple and Scalable Strategies to Continually Pre-train Large
        Language Models, arXiv:2403.08763.

    Example:
        >>> v = gc.rewarmup_schedule(gc.constant_schedule(1.0), resume_step=10, warmup_steps=4)
        >>> [float(v(t)) for t in (9, 10, 11, 12, 14)]
        [1.0, 0.0, 0.25, 0.5, 1.0]
    """
    check_positive("rewarmup_schedule", warmup_steps=warmup_steps)

    def value(count: Any) -> jax.Array:
        own = real(schedule(count))
        _, left = done_and_left(count, warmup_steps, resume_step)
        return jnp.where(reached(count, resume_step), blend(init_value, own, left), own)

    return value
