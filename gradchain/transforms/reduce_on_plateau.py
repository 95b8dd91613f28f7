"""Smaller steps when the loss no longer falls."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    CLOSED_UNIT,
    NON_NEGATIVE,
    GradientTransformationExtraArgs,
    MissingExtraError,
    Range,
    cast,
    check_updates,
    compute_dtype,
    dtype_of,
    is_inexact,
    real_dtype,
    relaxed_promotion,
    scaled,
    transformation,
)
from ..core.lists import scalar_dtype
from ..core.numerics import safe_increment
from ..core.types import Array, Numeric, Params, Updates

INSIDE_UNIT = Range("in (0, 1)", lambda x: 0 < x < 1)


class ReduceLROnPlateauState(NamedTuple):
    """State of `reduce_on_plateau`."""

    scale: Array  # f32[] (f64 for f64 params); what updates are multiplied by
    best_value: Array  # f32[]; smallest average value so far
    plateau_count: Array  # i32[]  averages in a row without improvement
    cooldown_count: Array  # i32[]  averages still to wait after a reduction
    count: Array  # i32[]  values in the present average
    avg_value: Array  # f32[]; the average so far


@transformation(factor=INSIDE_UNIT, rtol=CLOSED_UNIT, atol=NON_NEGATIVE)
def reduce_on_plateau(
    factor: Numeric = 0.1,
    patience: Numeric = 10,
    rtol: Numeric = 1e-4,
    atol: Numeric = 0.0,
    cooldown: Numeric = 0,
    accumulation_size: Numeric = 1,
    min_scale: Numeric = 0.0,
):
    """Multiplies updates by a scale that shrinks when a value stops falling; needs `value=loss`.

    The scale begins at 1 and is multiplied by `factor` when `patience` averages in a row were not
    below best - rtol |best| - atol. The value may be positive or negative.

    Args:
        factor: in (0, 1).
        patience: how many averages without improvement to allow, at least 1.
        rtol, atol: what counts as an improvement, relative (in [0, 1]) and absolute (at least 0);
            not both 0.
        cooldown: how many averages to ignore after a reduction.
        accumulation_size: how many values make one average, at least 1.
        min_scale: lower bound of the scale, at least 0.

    State: `ReduceLROnPlateauState(scale, best_value, plateau_count, cooldown_count, count, avg_value)`.
    Memory: none.
    Raises: TypeError if `update` gets no `value`; ValueError for arguments outside their ranges.

    Example:
        >>> tx, g = gc.reduce_on_plateau(0.5, patience=2), jnp.array([1.0])
        >>> state = tx.init(g)
        >>> for value in (2.0, 2.0, 2.0):  # not lower twice in a row
        ...     u, state = tx.update(g, state, value=value)
        ...     print(u.tolist())
        [1.0]
        [1.0]
        [0.5]
    """
    if isinstance(rtol, (int, float)) and isinstance(atol, (int, float)) and rtol == atol == 0:
        raise ValueError("reduce_on_plateau: rtol and atol must not both be 0.")

    def init(params: Params) -> ReduceLROnPlateauState:
        low = scalar_dtype(params)
        found = [compute_dtype(real_dtype(dtype_of(p))) for p in jax.tree.leaves(params) if is_inexact(p)]
        high = max(found, key=lambda d: d.itemsize, default=low)
        bad, wait, count = (jnp.zeros([], jnp.int32) for _ in range(3))
        best, mean = jnp.asarray(jnp.inf, high), jnp.zeros([], high)
        return ReduceLROnPlateauState(jnp.ones([], low), best, bad, wait, count, mean)

    def after_average(s: ReduceLROnPlateauState, value: Array) -> ReduceLROnPlateauState:
        margin = jnp.where(jnp.isfinite(s.best_value), rtol * jnp.abs(s.best_value) + atol, 0)
        improved = value < s.best_value - margin
        waiting = s.cooldown_count > 0
        bad = jnp.where(improved | waiting, 0, safe_increment(s.plateau_count))
        reduce = ~improved & ~waiting & (bad >= patience)
        return ReduceLROnPlateauState(
            jnp.where(
                waiting, s.scale, jnp.maximum(jnp.where(reduce, s.scale * factor, s.scale), min_scale)
            ),
            jnp.where(improved, value, s.best_value),
            jnp.where(reduce, 0, bad),
            jnp.where(waiting, s.cooldown_count - 1, jnp.where(reduce, cooldown, 0)),
            jnp.zeros_like(s.count),
            jnp.zeros_like(s.avg_value),
        )

    @jax.jit
    def step(state: ReduceLROnPlateauState, value: Numeric) -> ReduceLROnPlateauState:
        with relaxed_promotion():
            count = safe_increment(state.count)
            mean = (state.count * state.avg_value + cast(value, state.avg_value.dtype)) / count
            unfinished, finished = state._replace(count=count, avg_value=mean), after_average(state, mean)
            due = count == accumulation_size
            return jax.tree.map(
                lambda x, y, old: cast(jnp.where(due, x, y), old.dtype), finished, unfinished, state
            )

    def update(
        updates: Updates, state: ReduceLROnPlateauState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ReduceLROnPlateauState]:
        if extra_args.get("value") is None:
            raise MissingExtraError("reduce_on_plateau", "value")
        check_updates("reduce_on_plateau", updates, params)
        state = step(state, extra_args["value"])
        return scaled(updates, state.scale), state

    return GradientTransformationExtraArgs(init, update)
