"""Moments that begin anew, of any transformation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    AT_LEAST_1,
    NON_NEGATIVE,
    GradientTransformation,
    MissingParamsError,
    apply_updates,
    relaxed_promotion,
    scaled,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.numerics import safe_increment
from ..core.types import Array, Numeric, OptState, Params, Updates
from .moment_slots import moments_in

FIRST = 0.99
"""How much of a step is missing where the warm-up would begin, one step before the moments begin anew."""


class ResetMomentsState(NamedTuple):
    """State of `reset_moments`."""

    inner_state: OptState  # the inner transformation's
    resets: Array  # i32[]  how often the moments began anew
    since: Array  # i32[]  steps since the last time, or since the start

    @property
    def measured(self) -> dict[str, Array]:
        """What `measurements` finds here."""
        return {"moment_resets": self.resets, "steps_since_reset": self.since}


@transformation(every=AT_LEAST_1, warmup_steps=NON_NEGATIVE)
def reset_moments(
    inner: GradientTransformation,
    every: Numeric = 500,
    warmup_steps: Numeric = 150,
    fields: Sequence[str] | None = None,
):
    """Lets the moments of `inner` begin anew every `every` steps, with a warm-up: spikes are forgotten.

    At step t, k = t mod every; where k = 0 the moments are as `init` makes them, before they take the
    gradient. Counts go on, as the authors have it. The updates are those of `inner` times
    w = 1 - 0.99 (1 + cos(pi (k + 1) / (warmup_steps + 1))) / 2 for k < warmup_steps after the first reset.

    Moments are those arrays of the state that are kept for a parameter, have its shape, and do not begin as
    a function of its values: no copy of the parameters, no average of them, no count, no factored moment.

    Args:
        inner: any transformation. Inside `accumulate_gradients`, not around it: sums of gradients look like
            moments. w scales weight decay too, if it is in `inner`.
        every: steps between resets, at least 1.
        warmup_steps: steps after a reset until full steps; 0 for none.
        fields: the names of the fields to reset ("mu", "nu", "v_row"), wherever they are; None for moments.

    State: `ResetMomentsState(inner_state, resets, since)`; `measured`: moment_resets, steps_since_reset.
    Raises: ValueError if `update` gets no parameters, or if there is nothing to reset.
    Reference: Huang et al., 2025, SPAM: Spike-Aware Adam with Momentum Reset for Stable LLM Training,
        arXiv:2501.06842.

    Example:
        >>> tx = gc.reset_moments(gc.trace(1.0), every=2, warmup_steps=0)
        >>> state = tx.init(jnp.zeros(1))
        >>> for _ in range(3):  # at the second step the sum begins anew
        ...     u, state = tx.update(jnp.ones(1), state, jnp.zeros(1))
        ...     print(u.tolist())
        [1.0]
        [1.0]
        [2.0]
    """
    tx = with_extra_args_support(inner)
    warms = not (isinstance(warmup_steps, int) and warmup_steps == 0)

    def init(params: Params) -> ResetMomentsState:
        resets, since = jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32)
        moments_in("reset_moments", tx, params, fields)  # complains before the first step
        return ResetMomentsState(tx.init(params), resets, since)

    def begun_anew(due: Array, state: OptState, params: Params) -> OptState:
        fresh = tx.init(params)
        chosen = moments_in("reset_moments", tx, params, fields)

        def begin(moment: bool, new: Any, old: Any) -> Any:
            return jnp.where(due, new, old) if moment else old

        return jax.tree.map(begin, chosen, fresh, state)

    def run(
        whole: bool, updates: Updates, state: ResetMomentsState, params: Params | None = None, **extra: Any
    ) -> tuple[Any, ResetMomentsState]:
        if params is None:
            raise MissingParamsError("reset_moments")
        k = safe_increment(state.since)
        due = k >= every
        k = jnp.where(due, 0, k)
        resets = jnp.where(due, safe_increment(state.resets), state.resets)
        inner_state = begun_anew(due, state.inner_state, params)
        if not warms:
            result, inner_state = tx.run(whole, updates, inner_state, params, **extra)
            return result, ResetMomentsState(inner_state, resets, k)
        result, inner_state = tx.update(updates, inner_state, params, **extra)
        with relaxed_promotion():
            missing = FIRST * (1 + jnp.cos(jnp.pi * (k + 1) / (warmup_steps + 1))) / 2
            result = scaled(result, jnp.where((resets > 0) & (k < warmup_steps), 1 - missing, 1))
        return apply_updates(params, result) if whole else result, ResetMomentsState(inner_state, resets, k)

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))])
