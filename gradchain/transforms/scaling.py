"""Multiplying updates by a number: a constant, a learning rate, a schedule."""

from typing import NamedTuple

from ..core import Trait, identity, init_empty_state, leafwise, transformation
from ..core.types import Array, Count, EmptyState, Hyperparameter, Numeric

ScaleState = EmptyState


class ScaleByScheduleState(NamedTuple):
    """State of `scale_by_schedule`."""

    count: Count  # i32[]  steps taken


@transformation
def scale(step_size: Numeric):
    """Multiplies the updates by a number: u = step_size g.

    Args: step_size, any finite number or scalar array.
    State: `EmptyState`.

    Example:
        >>> tx, g = gc.scale(-0.5), jnp.array([1.0, 2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.tolist()
        [-0.5, -1.0]
    """

    def update(g: Array, s: EmptyState, p: Array | None) -> tuple[Array, EmptyState]:
        return step_size * g, s

    only_sign = isinstance(step_size, (int, float)) and abs(step_size) == 1
    return leafwise(init_empty_state, update, traits=[] if only_sign else [Trait.SCALES])


@transformation
def scale_by_schedule(step_size_fn: Hyperparameter):
    """Multiplies the updates by a schedule: u_t = step_size_fn(t) g_t, with t from 0.

    Args: step_size_fn, a function of the step count.
    State: `ScaleByScheduleState(count)`.

    Example:
        >>> tx, g = gc.scale_by_schedule(gc.linear_schedule(1.0, 0.0, 2)), jnp.array([4.0])
        >>> state = tx.init(g)
        >>> for _ in range(3):
        ...     u, state = tx.update(g, state)
        ...     print(u.tolist())
        [4.0]
        [2.0]
        [0.0]
    """

    def update(g: Array, s: EmptyState, p: Array | None) -> tuple[Array, EmptyState]:
        return step_size_fn * g, s  # its value at this step

    return leafwise(init_empty_state, update, scheduled_state=ScaleByScheduleState, traits=[Trait.SCALES])


@transformation
def scale_by_learning_rate(learning_rate: Hyperparameter | None = None, *, flip_sign: bool = True):
    """Multiplies the updates by minus the learning rate, so that adding the updates goes downhill.

    Args:
        learning_rate: a number, an array or a schedule; None leaves the updates as they are.
        flip_sign: False keeps the sign, to go uphill.

    State: `ScaleByScheduleState(count)` for a schedule, else `EmptyState`.

    Example:
        >>> tx, g = gc.scale_by_learning_rate(0.5), jnp.array([1.0, 2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.tolist()  # downhill
        [-0.5, -1.0]
    """
    if learning_rate is None:
        return identity()
    sign = -1 if flip_sign else 1

    def update(g: Array, s: EmptyState, p: Array | None) -> tuple[Array, EmptyState]:
        return sign * learning_rate * g, s

    return leafwise(
        init_empty_state, update, scheduled_state=ScaleByScheduleState, traits=[Trait.LEARNING_RATE]
    )
