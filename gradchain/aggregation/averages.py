"""Averages: over the elements of a batch, and over batches one after another."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    cast,
    chain,
    check_updates,
    dtype_of,
    has_gradient,
    identity,
    init_empty_state,
    is_inexact,
    is_none,
    transformation,
    widen,
)
from ..core.numerics import wide_like
from ..core.types import OptState, Params, Updates
from ..tree.leaves import map_leaves
from .aggregator import Aggregator
from .elements import Axes, over_elements


class AccumulateAvgUpdatesState(NamedTuple):
    """State of `accumulate_avg_updates`."""

    micro_step: jax.Array  # i32[]  batches since the last update
    ready: jax.Array  # bool[]  whether the last update was one
    avg_grad: Updates  # like params, at least float32; the mean so far


def wide_zeros(params: Params) -> Updates:
    """Zeros like the parameters in at least float32; None for what has no gradient."""
    return jax.tree.map(lambda p: wide_like(p) if has_gradient(p) else None, params, is_leaf=is_none)


def check_steps(name: str, accumulation_steps: Any) -> None:
    """Raises unless the number of steps is an integer of at least 1."""
    if isinstance(accumulation_steps, bool) or not hasattr(accumulation_steps, "__index__"):
        raise TypeError(f"{name}: accumulation_steps must be an integer, received {accumulation_steps!r}.")
    if accumulation_steps < 1:
        raise ValueError(f"{name}: accumulation_steps must be at least 1, received {accumulation_steps!r}.")


def when_ready(name: str, ready: Any, tree: Any) -> Any:
    """The tree where `ready`, else zeros."""
    return map_leaves(name, lambda x: jnp.where(ready, x, jnp.zeros_like(x)), tree)


def toward(average: Any, new: Any, count: Any) -> jax.Array:
    """The mean of `count` arrays, from that of all but the last."""
    return average + (new - average) / jnp.asarray(count, average.dtype)


@transformation
def average_per_element_updates(per_elt_axis: Axes = 0) -> Aggregator:
    """The mean of the elements' updates.

    Args: per_elt_axis, the axis or axes of the elements, in every leaf.
    State: `EmptyState`. Means of half precision are taken in float32.
    Raises: ValueError, with the path, for an update without these axes.

    Example:
        >>> tx, g = gc.aggregation.average_per_element_updates(), jnp.array([[1.0, 2.0], [3.0, 6.0]])
        >>> tx.update(g, tx.init(g[0]))[0].tolist()  # two elements
        [2.0, 4.0]
    """

    def mean(x: Any, axes: tuple[int, ...]) -> jax.Array:
        m = jnp.mean(widen(x), axes)
        return cast(m, dtype_of(x)) if is_inexact(x) else m

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        return over_elements("average_per_element_updates", mean, updates, per_elt_axis), state

    return Aggregator(init_empty_state, update)


@transformation
def accumulate_avg_updates(accumulation_steps: int) -> GradientTransformationExtraArgs:
    """The mean of the updates of several calls, at the last of them; zeros before.

    The state says whether the mean is `ready`: `process` runs what comes after only then.

    Args: accumulation_steps, how many calls make one update, at least 1.
    State: `AccumulateAvgUpdatesState(micro_step, ready, avg_grad)`; `EmptyState` for one step.
    Memory: 1 x the parameters, in at least float32; nothing for one step.
    Raises: ValueError or TypeError unless it is an integer of at least 1.

    Example:
        >>> tx = gc.aggregation.accumulate_avg_updates(2)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (1.0, 3.0):
        ...     u, state = tx.update(jnp.array([g]), state)
        ...     print(u.tolist(), bool(state.ready))
        [0.0] False
        [2.0] True
    """
    name = "accumulate_avg_updates"
    check_steps(name, accumulation_steps)
    if accumulation_steps == 1:
        return identity()

    def init(params: Params) -> AccumulateAvgUpdatesState:
        return AccumulateAvgUpdatesState(
            jnp.zeros([], jnp.int32), jnp.zeros([], jnp.bool_), wide_zeros(params)
        )

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, AccumulateAvgUpdatesState]:
        check_updates(name, updates, state.avg_grad)
        count = state.micro_step + 1
        ready = count == accumulation_steps
        average = map_leaves(name, lambda u, a: toward(a, u, count), updates, state.avg_grad)
        out = map_leaves(name, lambda a, u: cast(a, dtype_of(u)), when_ready(name, ready, average), updates)
        new = AccumulateAvgUpdatesState(
            jnp.where(ready, 0, count), ready, when_ready(name, ~ready, average)
        )
        return out, new

    return GradientTransformationExtraArgs(init, update)


@transformation
def average_incrementally_updates(
    per_elt_axis: Axes | None, accumulation_steps: int
) -> GradientTransformationExtraArgs:
    """The mean over the elements, then over several calls.

    Args: per_elt_axis, as of `average_per_element_updates`, or None for updates that are averages
        already; accumulation_steps, as of `accumulate_avg_updates`.
    Returns: an `Aggregator`, or an ordinary pair for None.
    State: a tuple of both states, or that of `accumulate_avg_updates` alone.
    Memory, Raises: see `accumulate_avg_updates`.

    Example:
        >>> tx = gc.aggregation.average_incrementally_updates(0, 2)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in ([[1.0], [3.0]], [[4.0], [8.0]]):  # the mean of 2 and 6
        ...     u, state = tx.update(jnp.array(g), state)
        ...     print(u.tolist())
        [0.0]
        [4.0]
    """
    check_steps("average_incrementally_updates", accumulation_steps)
    accumulate = accumulate_avg_updates(accumulation_steps)
    if per_elt_axis is None:
        return accumulate
    return Aggregator(*chain(average_per_element_updates(per_elt_axis), accumulate))
