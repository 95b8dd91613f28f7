"""The mean of elements' gradients and the sum of their squared distances from it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    cast,
    check_updates,
    dtype_of,
    has_gradient,
    init_empty_state,
    is_none,
    transformation,
    widen,
)
from ..core.numerics import abs_sq, accumulator_like
from ..core.types import OptState, Params, Updates
from ..tree.leaves import map_leaves
from .aggregator import Aggregator
from .averages import check_steps, toward, when_ready, wide_zeros
from .elements import Axes, get_batch_size_from_per_elt_updates, over_elements

NAME = "get_per_element_mean_and_sum_sq_diff_grads"


class PerElementMeanAndSumSqDiffGradsState(NamedTuple):
    """State of `get_per_element_mean_and_sum_sq_diff_grads` over several steps."""

    micro_step: jax.Array  # i32[]  batches since the last update
    ready: jax.Array  # bool[]  whether the last update was one
    mean_grads: Updates  # like params, at least float32; the mean so far
    sum_sq_diff_grads: Updates  # like |params|, at least float32; sum of |g - mean|^2 so far


class Batch(NamedTuple):
    """What one batch of elements gives, in at least float32."""

    mean: Updates
    squares: Updates
    size: int


def squares_like(params: Params) -> Updates:
    """Zeros for sums of squares: real, at least float32; None for what has no gradient."""
    return jax.tree.map(lambda p: accumulator_like(p) if has_gradient(p) else None, params, is_leaf=is_none)


def measured(per_elt_updates: Updates, per_elt_axis: Axes) -> Batch:
    """The mean of a batch and the sum of squared distances from it, in two passes."""

    def squares(x: Any, axes: tuple[int, ...]) -> jax.Array:
        wide = widen(x)
        return jnp.sum(abs_sq(wide - jnp.mean(wide, axes, keepdims=True)), axes)

    size = get_batch_size_from_per_elt_updates(per_elt_updates, per_elt_axis)
    mean = over_elements(NAME, lambda x, axes: jnp.mean(widen(x), axes), per_elt_updates, per_elt_axis)
    return Batch(mean, over_elements(NAME, squares, per_elt_updates, per_elt_axis), size)


def _like_updates(tree: Updates, updates: Updates) -> Updates:
    return map_leaves(NAME, lambda x, u: cast(x, dtype_of(u)), tree, updates)


@transformation
def get_per_element_mean_and_sum_sq_diff_grads(
    per_elt_axis: Axes = 0, accumulation_steps: int = 1
) -> Aggregator:
    """The mean of the elements' gradients, and the sum of |g - mean|^2 beside it.

    `update` returns `((mean, aux), state)` with `aux = {"sum_sq_diff_grads": tree, "sample_size": n}`,
    for `process(..., aggregator_has_aux=True)`. Over several calls the sums are joined as Chan, Golub
    and LeVeque do; mean and aux are zeros until the last of them.

    Args: per_elt_axis, the axis or axes of the elements, in every leaf; accumulation_steps, how many
        calls make one update, at least 1, with batches of one size.
    State: `PerElementMeanAndSumSqDiffGradsState`; `EmptyState` for one step.
    Memory: 2 x the parameters, in at least float32; nothing for one step.
    Raises: ValueError, with the path, for an update without these axes; ValueError or TypeError unless
        accumulation_steps is an integer of at least 1.
    Reference: Chan, Golub and LeVeque, 1983, Algorithms for Computing the Sample Variance.

    Example:
        >>> tx = gc.aggregation.get_per_element_mean_and_sum_sq_diff_grads()
        >>> g = jnp.array([[1.0], [3.0]])
        >>> (mean, aux), _ = tx.update(g, tx.init(g[0]))
        >>> mean.tolist(), aux["sum_sq_diff_grads"].tolist(), int(aux["sample_size"])
        ([2.0], [2.0], 2)
    """
    check_steps(NAME, accumulation_steps)

    def update_at_once(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        batch = measured(updates, per_elt_axis)
        aux = {"sum_sq_diff_grads": batch.squares, "sample_size": batch.size}
        return (_like_updates(batch.mean, updates), aux), state

    def init(params: Params) -> PerElementMeanAndSumSqDiffGradsState:
        return PerElementMeanAndSumSqDiffGradsState(
            jnp.zeros([], jnp.int32), jnp.zeros([], jnp.bool_), wide_zeros(params), squares_like(params)
        )

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, PerElementMeanAndSumSqDiffGradsState]:
        batch = measured(updates, per_elt_axis)
        check_updates(NAME, batch.mean, state.mean_grads)
        before, count = state.micro_step, state.micro_step + 1
        ready = count == accumulation_steps

        def join(m: Any, m_new: Any, total: Any, total_new: Any) -> jax.Array:
            weight = jnp.asarray(before * batch.size, total.dtype) / jnp.asarray(count, total.dtype)
            return total + total_new + abs_sq(m_new - m) * weight

        means = state.mean_grads, batch.mean
        squares = map_leaves(NAME, join, *means, state.sum_sq_diff_grads, batch.squares)
        mean = map_leaves(NAME, lambda m, new: toward(m, new, count), *means)
        aux = {"sum_sq_diff_grads": squares, "sample_size": batch.size * count}
        out = _like_updates(when_ready(NAME, ready, mean), updates), when_ready(NAME, ready, aux)
        kept = when_ready(NAME, ~ready, (mean, squares))
        return out, PerElementMeanAndSumSqDiffGradsState(jnp.where(ready, 0, count), ready, *kept)

    if accumulation_steps == 1:
        return Aggregator(init_empty_state, update_at_once)
    return Aggregator(init, update)
