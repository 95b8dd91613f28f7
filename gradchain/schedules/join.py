"""One schedule after another."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core import relaxed_promotion, schedule
from ..core.types import Schedule
from .progress import as_count, reached, real, since


def joined(schedules: Sequence[Callable[[Any], Any]], boundaries: Sequence[Any]) -> Schedule:
    """Each schedule from its boundary on, where its count is 0."""

    def value(count: Any) -> jax.Array:
        count = as_count(count)
        starts = [count, *(since(count, boundary) for boundary in boundaries)]
        values = [jnp.asarray(f(start)) for f, start in zip(schedules, starts, strict=True)]
        if any(jnp.issubdtype(v.dtype, jnp.floating) for v in values):
            values = [real(v) for v in values]
        result = jnp.array(values[0])
        with relaxed_promotion():
            for boundary, v in zip(boundaries, values[1:], strict=True):
                result = jnp.where(reached(count, boundary), v, result)
        return jnp.broadcast_to(result, jnp.broadcast_shapes(count.shape, result.shape))

    return value


@schedule
def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another. Each counts from 0 at its first step.

    v(t) = s_i(t - b_i) for b_i <= t < b_(i+1), with s_i = schedules[i], b_0 = 0, b_i = boundaries[i - 1].

    Args:
        schedules: functions of the step count; only the first is called with a negative count, if any.
        boundaries: the first step of each schedule but the first, increasing.

    Raises: ValueError unless there is one boundary less than there are schedules.

    Example:
        >>> v = gc.join_schedules([gc.linear_schedule(0.0, 1.0, 2), gc.constant_schedule(0.5)], [3])
        >>> [float(v(t)) for t in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.5]
    """
    if len(boundaries) != len(schedules) - 1:
        raise ValueError(
            f"join_schedules: {len(schedules)} schedules need "
            f"{max(len(schedules) - 1, 0)} boundaries, received {len(boundaries)}."
        )
    return joined(tuple(schedules), tuple(boundaries))
