"""Multiplying updates by a number: a constant, a learning rate, a schedule."""

from typing import Any, NamedTuple

import jax

from ..core.chain import identity
from ..core.lift import leafwise
from ..core.order import Trait
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import EmptyState, Numeric, ScalarOrSchedule, Schedule

ScaleState = EmptyState


class ScaleByScheduleState(NamedTuple):
    """State of `scale_by_schedule`."""

    count: jax.Array  # i32[]  steps taken


def _times(name: str, factor: Any, sign: int = 1) -> GradientTransformationExtraArgs:
    def update(g: Any, s: Any, p: Any) -> tuple[Any, tuple[()]]:
        del p
        number: Any = factor(s.count - 1) if callable(factor) else factor
        return sign * number * g, ()

    state = ScaleByScheduleState if callable(factor) else EmptyState
    return leafwise(state, lambda p: (), update, name=name)


@transformation
def scale(step_size: Numeric) -> GradientTransformationExtraArgs:
    """Multiplies the updates by a number: u = step_size g.

    Args: step_size, any finite number or scalar array.
    State: `EmptyState`.
    """
    only_sign = isinstance(step_size, (int, float)) and abs(step_size) == 1
    return _times("scale", step_size).saying(*([] if only_sign else [Trait.SCALES]))


@transformation
def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformationExtraArgs:
    """Multiplies the updates by a schedule: u_t = step_size_fn(t) g_t, with t from 0.

    Args: step_size_fn, a function of the step count.
    State: `ScaleByScheduleState(count)`.
    """
    return _times("scale_by_schedule", step_size_fn).saying(Trait.SCALES)


@transformation
def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule | None = None, *, flip_sign: bool = True
) -> GradientTransformationExtraArgs:
    """Multiplies the updates by minus the learning rate, so that adding them goes downhill.

    Args:
        learning_rate: a number, an array or a schedule; None leaves the updates as they are.
        flip_sign: False keeps the sign, to go uphill.

    State: `ScaleByScheduleState(count)` for a schedule, else `EmptyState`.
    """
    if learning_rate is None:
        return identity()
    sign = -1 if flip_sign else 1
    return _times("scale_by_learning_rate", learning_rate, sign).saying(Trait.LEARNING_RATE)
