"""Transformations that run only on some steps."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    check_updates,
    is_absent,
    run_if,
    transformation,
    with_extra_args_support,
    without_after,
    wrapper,
)
from ..core.numerics import safe_increment
from ..core.types import Array, OptState, Params, Updates


class ConditionFn(Protocol):
    """Decides from the step count (and the extra arguments, if forwarded) whether to run."""

    def __call__(self, step: Array, **extra_args: Any) -> bool | Array: ...


class ConditionallyTransformState(NamedTuple):
    """State of `conditionally_transform`."""

    inner_state: OptState  # the inner transformation's
    step: Array  # i32[]  calls of update


class ConditionallyMaskState(NamedTuple):
    """State of `conditionally_mask`."""

    step: Array  # i32[]  calls of update
    inner_state: OptState  # the inner transformation's


_ConditionalState = ConditionallyTransformState | ConditionallyMaskState


def _conditionally(
    state_type: type[_ConditionalState],
    inner: GradientTransformation,
    should: ConditionFn,
    forward: bool,
    passes: bool,
) -> GradientTransformationExtraArgs:
    tx = with_extra_args_support(inner)

    def init(params: Params) -> _ConditionalState:
        return state_type(inner_state=tx.init(params), step=jnp.zeros([], jnp.int32))

    def run(
        whole: bool, updates: Updates, state: _ConditionalState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, _ConditionalState]:
        wanted = should(state.step, **(without_after(extra_args) if forward else {}))
        otherwise = updates if passes else None
        result, inner_state = run_if(
            wanted, tx, whole, updates, state.inner_state, params, extra_args, otherwise
        )
        return result, state_type(inner_state=inner_state, step=safe_increment(state.step))

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))])


@transformation
def conditionally_transform(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
):
    """Applies `inner` on some steps; on the others the updates pass unchanged and `inner` does not run.

    Unchanged updates still change the parameters. To take no step, use `conditionally_mask`.

    Args:
        inner: any transformation.
        should_transform_fn: a function of the step count, from 0, to a boolean scalar.
        forward_extra_args: True passes it the extra arguments of `update` too.

    State: `ConditionallyTransformState(inner_state, step)`.

    Example:
        >>> tx = gc.conditionally_transform(gc.scale(-1.0), lambda step: step % 2 == 0)
        >>> g = jnp.array([1.0])
        >>> state = tx.init(g)
        >>> for _ in range(2):  # every other update is unchanged
        ...     u, state = tx.update(g, state)
        ...     print(u.tolist())
        [-1.0]
        [1.0]
    """
    return _conditionally(
        ConditionallyTransformState, inner, should_transform_fn, forward_extra_args, passes=True
    )


@transformation
def conditionally_mask(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
):
    """Applies `inner` on some steps; on the others the updates are zeros and `inner` does not run.

    Args:
        inner: any transformation.
        should_transform_fn: a function of the step count, from 0, to a boolean scalar.
        forward_extra_args: True passes it the extra arguments of `update` too.

    State: `ConditionallyMaskState(step, inner_state)`.

    Example:
        >>> tx = gc.conditionally_mask(gc.scale(-1.0), lambda step: step % 2 == 0)
        >>> g = jnp.array([1.0])
        >>> state = tx.init(g)
        >>> for _ in range(2):  # every other update is zero
        ...     u, state = tx.update(g, state)
        ...     print(u.tolist())
        [-1.0]
        [0.0]
    """
    return _conditionally(
        ConditionallyMaskState, inner, should_transform_fn, forward_extra_args, passes=False
    )


class ApplyIfFiniteState(NamedTuple):
    """State of `apply_if_finite`."""

    notfinite_count: Array  # i32[]  gradients rejected in a row
    last_finite: Array  # bool[]  whether the last gradient was finite
    total_notfinite: Array  # i32[]  gradients that were not finite, in all
    inner_state: OptState  # the inner transformation's


@jax.jit
def _is_finite(x: Array) -> Array:
    # |x| * 0 is 0 or NaN. A sum of these vectorizes, a logical `all` does not; it is fastest when the
    # first axis is summed first.
    zeros = jnp.abs(x) * 0
    return jnp.isfinite(jnp.sum(jnp.sum(zeros, axis=0) if zeros.ndim else zeros))


def all_finite(tree: Updates) -> Array:
    """Whether every entry of every leaf is finite: a boolean scalar."""
    parts = [_is_finite(x) for x in jax.tree.leaves(tree) if not is_absent(x)]
    return jnp.all(jnp.stack(parts)) if parts else jnp.array(True)


@transformation
def apply_if_finite(inner: GradientTransformation, max_consecutive_errors: int):
    """Leaves out gradients with a NaN or an infinity: zero updates, and `inner` does not run.

    After `max_consecutive_errors` rejections in a row the next bad gradient is applied, because the
    parameters themselves may not be finite and this must become visible. Then the count starts again.

    Args:
        inner: any transformation.
        max_consecutive_errors: how many bad gradients in a row to reject, at least 0.

    State: `ApplyIfFiniteState(notfinite_count, last_finite, total_notfinite, inner_state)`.
    Raises: ValueError for a negative `max_consecutive_errors`.

    Example:
        >>> tx, p = gc.apply_if_finite(gc.sgd(1.0), 3), jnp.array([1.0])
        >>> state = tx.init(p)
        >>> for g in (jnp.nan, 0.5):
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist(), int(state.total_notfinite))
        [1.0] 1
        [0.5] 1
    """
    if isinstance(max_consecutive_errors, (int, float)) and max_consecutive_errors < 0:
        raise ValueError(
            f"apply_if_finite: max_consecutive_errors must be at least 0, received "
            f"{max_consecutive_errors!r}."
        )
    tx = with_extra_args_support(inner)

    def init(params: Params) -> ApplyIfFiniteState:
        rejected, total = jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32)
        return ApplyIfFiniteState(rejected, jnp.array(True), total, tx.init(params))

    def run(
        whole: bool, updates: Updates, state: ApplyIfFiniteState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, ApplyIfFiniteState]:
        check_updates("apply_if_finite", updates, params)
        finite = all_finite(updates)
        give_up = state.notfinite_count >= max_consecutive_errors
        apply = jnp.logical_or(finite, give_up)
        result, inner_state = run_if(apply, tx, whole, updates, state.inner_state, params, extra_args)
        rejected = jnp.where(apply, jnp.zeros_like(state.notfinite_count), state.notfinite_count + 1)
        total = jnp.where(finite, state.total_notfinite, safe_increment(state.total_notfinite))
        return result, ApplyIfFiniteState(rejected, finite, total, inner_state)

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))])
