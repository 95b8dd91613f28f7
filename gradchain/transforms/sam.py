"""Sharpness-aware minimization: steps by the gradient at a point slightly uphill."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Leaves,
    MissingExtraError,
    MissingParamsError,
    apply_updates,
    cast,
    compiled,
    dtype_of_step,
    either,
    init_empty_state,
    is_absent,
    is_none,
    leafwise,
    relaxed_promotion,
    transformation,
    widen,
    with_extra_args_support,
    wrapper,
)
from ..core.lists import each
from ..core.numerics import copy_of, ratio
from ..core.types import Array, EmptyState, OptState, Params, PyTree, Updates
from ..tree.norm import norm

NormalizeState = EmptyState


@transformation
def normalize():
    """Divides all updates by their global norm: u = g / |g|, and 0 where |g| = 0.

    |g| is the 2-norm over all entries of all leaves, summed in at least float32.

    State: `NormalizeState`, which is `EmptyState`. Memory: none.
    """

    def measure(gs: list[Array], extra_args: dict[str, Any]) -> Array:
        return ratio(1.0, norm(gs))

    def update(g: Array, s: EmptyState, p: Array | None, factor: Array) -> tuple[Array, EmptyState]:
        return g * factor, s

    return leafwise(init_empty_state, update, measure=measure)


class SAMState(NamedTuple):
    """State of `sam`."""

    steps_since_sync: Array  # i32[]  ascent steps since the last real step
    opt_state: OptState  # the optimizer's
    adv_state: OptState  # the adversary's
    cache: Params | None  # like params; where the ascent began; None in opaque mode


def _negated(updates: Updates) -> Updates:
    return jax.tree.map(lambda u: u if is_absent(u) else -u, updates, is_leaf=is_none)


def _choose(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


@transformation
def sam(
    optimizer: GradientTransformation,
    adv_optimizer: GradientTransformation,
    sync_period: int = 2,
    reset_state: bool = True,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
):
    """Seeks flat minima: takes ascent steps, then a step from the start by the gradient found there.

    With `normalize()` before `sgd(rho)` as the adversary this is SAM: p = p - opt(g(p + rho g / |g|)).

    Args:
        optimizer: makes the real steps.
        adv_optimizer: makes the ascent steps, by minus its updates, e.g. `chain(normalize(), sgd(rho))`.
        sync_period: one of this many updates is a real step, the others are ascents; at least 1, in the
            paper 2.
        reset_state: True gives the adversary a fresh state after each real step.
        opaque_mode: True does a whole period in one update, which then needs the extra argument
            `grad_fn(params, i) -> gradient` for the i-th point. False takes one gradient per update.
        batch_axis_name: in opaque mode, the mapped axis over which gradients are averaged.

    State: `SAMState(steps_since_sync, opt_state, adv_state, cache)`.
    Memory: 1 x the parameters (none in opaque mode), and both optimizers'.
    Raises: ValueError for a period below 1 or if `update` gets no parameters; TypeError if it gets no
        `grad_fn` in opaque mode.
    Reference: Foret et al., 2020, Sharpness-Aware Minimization for Efficiently Improving
        Generalization, arXiv:2010.01412.
    """
    if sync_period < 1:
        raise ValueError(f"sam: sync_period must be at least 1, received {sync_period!r}.")
    tx, adversary = with_extra_args_support(optimizer), with_extra_args_support(adv_optimizer)

    def init(params: Params) -> SAMState:
        cache = None if opaque_mode else jax.tree.map(copy_of, params)
        return SAMState(jnp.zeros([], jnp.int32), tx.init(params), adversary.init(params), cache)

    @compiled
    def ascend_or_step(
        updates: Updates, state: SAMState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, SAMState]:
        if params is None:
            raise MissingParamsError("sam")
        leaves = Leaves("sam", updates, params)
        last = state.steps_since_sync == sync_period - 1
        cache = _choose(state.steps_since_sync == 0, params, state.cache)
        up, adv_state = adversary.update(updates, state.adv_state, params, **extra_args)
        down, opt_state = tx.update(updates, state.opt_state, cache, **extra_args)

        def pick(g: Array, up: Array, down: Array, start: Array, p: Array) -> Array:
            with relaxed_promotion():
                back = widen(start) - widen(p) + widen(down)
                return cast(jnp.where(last, back, -widen(up)), dtype_of_step(g, p))

        parts = [leaves.of(*x) for x in (("ascent", up), ("step", down), ("state's cache", cache))]
        us = each(pick, leaves.gs, *parts, leaves.ps)
        fresh = adversary.init(params) if reset_state else state.adv_state
        return leaves.put(us, updates), SAMState(
            (state.steps_since_sync + 1) % sync_period,
            _choose(last, opt_state, state.opt_state),
            _choose(last, fresh, adv_state),
            cache,
        )

    @compiled
    def ascended_or_stepped(
        grads: Updates, state: SAMState, params: Params, **extra_args: Any
    ) -> tuple[Params, SAMState]:
        Leaves("sam", grads, params)
        last = state.steps_since_sync == sync_period - 1
        start = _choose(state.steps_since_sync == 0, params, state.cache)

        def step() -> Any:
            stepped, opt_state = tx.step(grads, state.opt_state, start, **extra_args)
            return stepped, opt_state, adversary.init(params) if reset_state else state.adv_state

        def ascend() -> Any:
            up, adv_state = adversary.update(grads, state.adv_state, params, **extra_args)
            return apply_updates(params, _negated(up)), state.opt_state, adv_state

        like = params, state.opt_state, state.adv_state
        params, opt_state, adv_state = either(last, step, ascend, like)
        since = (state.steps_since_sync + 1) % sync_period
        return params, SAMState(since, opt_state, adv_state, start)

    def full_period(
        whole: bool,
        updates: Updates,
        state: SAMState,
        params: Params | None = None,
        *,
        grad_fn: Callable[[Params, int], Updates] | None = None,
        **extra_args: Any,
    ) -> tuple[Any, SAMState]:
        if params is None:
            raise MissingParamsError("sam")
        if grad_fn is None:
            raise MissingExtraError("sam", "grad_fn")
        point, adv_state = params, state.adv_state
        for i in range(sync_period - 1):
            up, adv_state = adversary.update(updates, adv_state, point, **extra_args)
            point = apply_updates(point, _negated(up))
            updates = grad_fn(point, i)
            if batch_axis_name is not None:
                updates = jax.lax.pmean(updates, axis_name=batch_axis_name)
        result, opt_state = tx.run(whole, updates, state.opt_state, params, **extra_args)
        if reset_state:
            adv_state = adversary.init(params)
        return result, SAMState(jnp.zeros([], jnp.int32), opt_state, adv_state, None)

    inside = [(optimizer, ("opt_state",)), (adv_optimizer, ("adv_state",))]
    if opaque_mode:
        return wrapper(init, full_period, inside=inside)
    return GradientTransformationExtraArgs(init, ascend_or_step, step=ascended_or_stepped, inside=inside)
