"""Lookahead: fast weights explore, slow weights follow."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    MissingParamsError,
    apply_updates,
    cast,
    compiled,
    dtype_of,
    either,
    incremental_update,
    is_absent,
    is_none,
    leaves_like,
    relaxed_promotion,
    transformation,
    widen,
    with_extra_args_support,
)
from ..core.types import Array, Numeric, OptState, Params, Updates


class LookaheadState(NamedTuple):
    """State of `lookahead`."""

    fast_state: OptState  # the fast optimizer's
    steps_since_sync: Array  # i32[]  fast steps since the last slow step
    slow_params: Params = ()  # like params; slow weights, or () if the parameters are `LookaheadParams`

    def eval_params(self, params: Params) -> Params:
        """The slow weights: evaluate and save these."""
        return params.slow if isinstance(params, LookaheadParams) else self.slow_params


class LookaheadParams(NamedTuple):
    """Parameters that carry fast and slow weights, as Optax has them."""

    fast: Params  # where gradients are taken
    slow: Params  # what to evaluate

    @classmethod
    def init_synced(cls, params: Params) -> "LookaheadParams":
        """Fast and slow weights that begin as the same."""
        return cls(fast=params, slow=params)


@jax.jit
def _sync(u: Array, fast: Array, slow: Array, due: Array, step_size: Numeric) -> tuple[Array, Array]:
    """The updates that bring fast and slow weights to slow + step_size (fast + u - slow), if due."""
    with relaxed_promotion():
        difference = widen(fast) + widen(u) - widen(slow)
        pull = jnp.where(due, difference, 0)
        u_fast = widen(u) - (1 - step_size) * pull
        return cast(u_fast, dtype_of(u)), cast(step_size * pull, dtype_of(slow))


@transformation
def lookahead(
    fast_optimizer: GradientTransformation,
    sync_period: int,
    slow_step_size: Numeric,
    reset_state: bool = False,
):
    """Takes k fast steps, then one slow step towards them; the fast weights continue from there.

    Every k = sync_period steps: s = s + slow_step_size (f - s);  f = s.

    Args:
        fast_optimizer: any transformation.
        sync_period: k, at least 1.
        slow_step_size: in [0, 1].
        reset_state: True gives the fast optimizer a fresh state after each slow step.

    Plain parameters are the fast weights; the slow weights are in the state, and `eval_params` gives
    them. With `LookaheadParams` both are parameters, as in Optax.

    State: `LookaheadState(fast_state, steps_since_sync, slow_params)`.
    Memory: 1 x the parameters, and the fast optimizer's.
    Raises: ValueError for a period below 1, or if `update` gets no parameters.
    Reference: Zhang, Lucas, Hinton and Ba, 2019, Lookahead Optimizer: k steps forward, 1 step back,
        arXiv:1907.08610.

    Example:
        >>> tx = gc.lookahead(gc.sgd(1.0), sync_period=2, slow_step_size=0.5)
        >>> p = gc.LookaheadParams.init_synced(jnp.array([0.0]))
        >>> state = tx.init(p)
        >>> for _ in range(2):  # at 2, the slow weights go half of the way
        ...     p, state = tx.step(jnp.array([-1.0]), state, p)
        ...     print(p.fast.tolist(), p.slow.tolist())
        [1.0] [0.0]
        [1.0] [1.0]
    """
    if isinstance(sync_period, int) and sync_period < 1:
        raise ValueError(f"lookahead: sync_period must be at least 1, received {sync_period!r}.")
    tx = with_extra_args_support(fast_optimizer)

    def init(params: Params) -> LookaheadState:
        zero = jnp.zeros([], jnp.int32)
        if isinstance(params, LookaheadParams):
            return LookaheadState(tx.init(params.fast), zero)
        slow = jax.tree.map(_copy, params)
        return LookaheadState(tx.init(params), zero, slow)

    def update(
        updates: Updates, state: LookaheadState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, LookaheadState]:
        if params is None:
            raise MissingParamsError("lookahead")
        carried = isinstance(params, LookaheadParams)
        fast, slow = params if isinstance(params, LookaheadParams) else (params, state.slow_params)
        updates, fast_state = tx.update(updates, state.fast_state, fast, **extra_args)
        due = state.steps_since_sync == sync_period - 1
        us, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        fasts = leaves_like("lookahead", "updates", updates, "parameters", fast)
        slows = leaves_like("lookahead", "updates", updates, "slow weights", slow)
        moves = [
            (u, None) if is_absent(u) else _sync(u, f, s, due, slow_step_size)
            for u, f, s in zip(us, fasts, slows, strict=True)
        ]
        fast_updates = jax.tree.unflatten(treedef, [move[0] for move in moves])
        slow_updates = jax.tree.unflatten(treedef, [move[1] for move in moves])
        if reset_state:
            fast_state = jax.tree.map(
                lambda new, fresh: jnp.where(due, fresh, new), fast_state, tx.init(fast)
            )
        since = jnp.where(due, jnp.zeros_like(state.steps_since_sync), state.steps_since_sync + 1)
        if carried:
            return LookaheadParams(fast_updates, slow_updates), LookaheadState(fast_state, since)
        return fast_updates, LookaheadState(fast_state, since, apply_updates(slow, slow_updates))

    def step(
        grads: Updates, state: LookaheadState, params: Params, **extra_args: Any
    ) -> tuple[Params, LookaheadState]:
        carried = isinstance(params, LookaheadParams)
        fast, slow = params if isinstance(params, LookaheadParams) else (params, state.slow_params)
        fast, fast_state = tx.step(grads, state.fast_state, fast, **extra_args)
        due = state.steps_since_sync == sync_period - 1

        def synced() -> Any:
            new = incremental_update(fast, slow, slow_step_size)
            return new, new, tx.init(fast) if reset_state else fast_state

        like = fast, slow, fast_state
        fast, slow, fast_state = either(due, synced, lambda: like, like)
        since = jnp.where(due, jnp.zeros_like(state.steps_since_sync), state.steps_since_sync + 1)
        if carried:
            return LookaheadParams(fast, slow), LookaheadState(fast_state, since)
        return fast, LookaheadState(fast_state, since, slow)

    return GradientTransformationExtraArgs(
        init, compiled(update), step=compiled(step), inside=[(fast_optimizer, ("fast_state",))]
    )


def _copy(p: Array | jax.ShapeDtypeStruct) -> Array:
    # A copy: the parameters' own buffers may be donated to the next step.
    if isinstance(p, jax.ShapeDtypeStruct):
        return jnp.zeros(p.shape, p.dtype)
    return jnp.array(p, copy=True)
