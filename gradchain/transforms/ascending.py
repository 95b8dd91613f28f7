"""Gradients from a point uphill: what SAM and its relatives have in common."""

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
    is_absent,
    is_none,
    relaxed_promotion,
    widen,
    with_extra_args_support,
    wrapper,
)
from ..core.lists import each
from ..core.numerics import copy_of
from ..core.types import Array, OptState, Params, PyTree, Updates


class SAMState(NamedTuple):
    """State of `sam`, `asam`, `gsam` and `looksam`."""

    steps_since_sync: Array  # i32[]  ascent steps since the last real step
    opt_state: OptState  # the optimizer's
    adv_state: OptState  # the adversary's
    cache: Params | None  # like params; where the ascent began; None in opaque mode


class Way(NamedTuple):
    """What tells the relatives apart."""

    name: str
    adversary: GradientTransformation  # makes the ascents, by minus its updates
    ascents: int  # before a real step
    settle: Callable[..., tuple[Updates, OptState]]  # of (gradient, adv_state, params, climbed)
    """What the optimizer gets, and the adversary's new state."""
    climbs: Callable[[OptState], Any] = lambda adv_state: True  # whether the next real step needs ascents


def ascending(
    way: Way,
    optimizer: GradientTransformation,
    opaque_mode: bool,
    batch_axis_name: str | None,
    inside: list[Any],
) -> GradientTransformationExtraArgs:
    """The pair of an optimizer that gets gradients from uphill, for steps from where the ascents began."""
    name, settle = way.name, way.settle
    tx, adversary = with_extra_args_support(optimizer), with_extra_args_support(way.adversary)

    def init(params: Params) -> SAMState:
        cache = None if opaque_mode else jax.tree.map(copy_of, params)
        return SAMState(jnp.zeros([], jnp.int32), tx.init(params), adversary.init(params), cache)

    def is_real(state: SAMState) -> Array:
        up = state.steps_since_sync
        return (up == way.ascents) | ((up == 0) & ~jnp.asarray(way.climbs(state.adv_state)))

    def since(real: Array, state: SAMState) -> Array:
        return jnp.where(real, 0, state.steps_since_sync + 1)

    @compiled
    def ascend_or_step(
        updates: Updates, state: SAMState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, SAMState]:
        if params is None:
            raise MissingParamsError(name)
        leaves, real = Leaves(name, updates, params), is_real(state)
        cache = choose(state.steps_since_sync == 0, params, state.cache)
        up, adv_up = adversary.update(updates, state.adv_state, params, **extra_args)
        gradient, adv_down = settle(updates, state.adv_state, params, state.steps_since_sync > 0)
        down, opt_state = tx.update(gradient, state.opt_state, cache, **extra_args)

        def pick(g: Array, up: Array, down: Array, start: Array, p: Array) -> Array:
            with relaxed_promotion():
                back = widen(start) - widen(p) + widen(down)
                return cast(jnp.where(real, back, -widen(up)), dtype_of_step(g, p))

        parts = [leaves.of(*x) for x in (("ascent", up), ("step", down), ("state's cache", cache))]
        us = each(pick, leaves.gs, *parts, leaves.ps)
        return leaves.put(us, updates), SAMState(
            since(real, state),
            choose(real, opt_state, state.opt_state),
            choose(real, adv_down, adv_up),
            cache,
        )

    @compiled
    def ascended_or_stepped(
        grads: Updates, state: SAMState, params: Params, **extra_args: Any
    ) -> tuple[Params, SAMState]:
        Leaves(name, grads, params)
        real = is_real(state)
        start = choose(state.steps_since_sync == 0, params, state.cache)

        def step() -> Any:
            gradient, adv_state = settle(grads, state.adv_state, params, state.steps_since_sync > 0)
            stepped, opt_state = tx.step(gradient, state.opt_state, start, **extra_args)
            return stepped, opt_state, adv_state

        def ascend() -> Any:
            up, adv_state = adversary.update(grads, state.adv_state, params, **extra_args)
            return apply_updates(params, negated(up)), state.opt_state, adv_state

        like = params, state.opt_state, state.adv_state
        new, opt_state, adv_state = either(real, step, ascend, like)
        return new, SAMState(since(real, state), opt_state, adv_state, start)

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
            raise MissingParamsError(name)
        if grad_fn is None:
            raise MissingExtraError(name, "grad_fn")

        def climb() -> tuple[Updates, OptState]:
            point, gradient, adv_state = params, updates, state.adv_state
            for i in range(way.ascents):
                up, adv_state = adversary.update(gradient, adv_state, point, **extra_args)
                point = apply_updates(point, negated(up))
                gradient = grad_fn(point, i)
                if batch_axis_name is not None:
                    gradient = jax.lax.pmean(gradient, axis_name=batch_axis_name)
            return settle(gradient, adv_state, params, way.ascents > 0)

        wanted = way.climbs(state.adv_state)
        if wanted is True:
            gradient, adv_state = climb()
        else:
            stay = lambda: settle(updates, state.adv_state, params, False)  # noqa: E731
            gradient, adv_state = either(wanted, climb, stay, (updates, state.adv_state))
        result, opt_state = tx.run(whole, gradient, state.opt_state, params, **extra_args)
        return result, SAMState(jnp.zeros([], jnp.int32), opt_state, adv_state, None)

    if opaque_mode:
        return wrapper(init, full_period, inside=inside)
    return GradientTransformationExtraArgs(init, ascend_or_step, step=ascended_or_stepped, inside=inside)


def negated(updates: Updates) -> Updates:
    """Minus the updates."""
    return jax.tree.map(lambda u: u if is_absent(u) else -u, updates, is_leaf=is_none)


def choose(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """One of two trees, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
