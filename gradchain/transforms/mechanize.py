"""Mechanic: a learning rate tuner around any optimizer."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    POSITIVE,
    GradientTransformation,
    GradientTransformationExtraArgs,
    Leaves,
    MissingParamsError,
    cast,
    compiled,
    dtype_of,
    dtype_of_step,
    relaxed_promotion,
    transformation,
    widen,
    with_extra_args_support,
)
from ..core.lists import dot, each, scalar_dtype, sum_sq
from ..core.numerics import copy_of, ratio, safe_increment, sqrt
from ..core.types import Array, Count, Numeric, OptState, Params, Updates


class MechanicState(NamedTuple):
    """State of `mechanize`."""

    base_optimizer_state: OptState  # the base optimizer's
    count: Count  # i32[]  steps taken
    r: Array  # f32[num_betas] (f64 for f64 params); reward of each beta's bets
    m: Array  # f32[num_betas]; decayed maximum of |h|
    v: Array  # f32[num_betas]; decayed sum of h^2
    s: Array  # f32[num_betas]; their sum is the factor S
    x0: Params  # like params; the initial parameters


@transformation(s_init=POSITIVE)
def mechanize(
    base_optimizer: GradientTransformation,
    weight_decay: Numeric = 1e-2,
    eps: Numeric = 1e-8,
    s_init: Numeric = 1e-6,
    num_betas: int = 6,
):
    """Tunes a factor S of another optimizer's steps during training, from the gradients alone.

    D = (x_0 - p) / S - base step;  h = <g + weight_decay S |g| / |p| p, D before the step>, S = sum s;
    m = max(beta m, |h| + eps);  v = beta^2 v + h^2;  r = beta r + clip(h, +-m) s;
    s = (s_init m / n + max(r, 0)) / (sqrt(v) + eps);  p = x_0 - S D, for n = num_betas at once.

    Args:
        base_optimizer: any transformation, with an untuned learning rate (1, or a schedule with peak 1).
        weight_decay: strength of a decay that stabilizes the tuning, at least 0.
        eps: at least 0.
        s_init: first value of S, small and positive.
        num_betas: n, how many decays beta = 1 - 10^-i are used side by side, with i = 1, ..., n.

    State: `MechanicState(base_optimizer_state, count, r, m, v, s, x0)`.
    Memory: 1 x the parameters, and the base optimizer's.
    Raises: ValueError if `update` gets no parameters, or for `num_betas` below 1.
    Reference: Cutkosky, Defazio and Mehta, 2023, Mechanic: A Learning Rate Tuner, arXiv:2306.00144.

    Example:
        >>> tx, p = gc.mechanize(gc.sgd(1.0), weight_decay=0.0, s_init=0.1), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(3):  # where all goes downhill, steps grow
        ...     p, state = tx.step(-jnp.ones(1), state, p)
        ...     print([round(x, 2) for x in p.tolist()])
        [0.1]
        [0.2]
        [0.4]
    """
    if num_betas < 1:
        raise ValueError(f"mechanize: num_betas must be at least 1, received {num_betas!r}.")
    tx = with_extra_args_support(base_optimizer)

    def init(params: Params) -> MechanicState:
        dtype = scalar_dtype(params)
        r, m, v = (jnp.zeros([num_betas], dtype) for _ in range(3))
        s, count = jnp.ones([num_betas], dtype) * jnp.asarray(s_init, dtype), jnp.zeros([], jnp.int32)
        x0 = jax.tree.map(copy_of, params)
        return MechanicState(tx.init(params), count, r, m, v, s, x0)

    @compiled
    def update(
        updates: Updates, state: MechanicState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MechanicState]:
        if params is None:
            raise MissingParamsError("mechanize")
        steps, base_state = tx.update(updates, state.base_optimizer_state, params, **extra_args)
        leaves = Leaves("mechanize", updates, params)
        first, dtype = state.count == 0, state.s.dtype
        with relaxed_promotion():
            g, p = each(widen, leaves.gs), each(widen, leaves.ps)
            u = each(widen, leaves.of("base optimizer's step", steps))
            starts = leaves.of("state's x0", state.x0)
            x0 = each(lambda x, p: jnp.where(first, p, widen(x)), starts, p)
            factor = jnp.sum(state.s)
            pull = weight_decay * factor * sqrt(sum_sq(g)) / (sqrt(sum_sq(p)) + eps)
            before = each(lambda x, p: (x - p) / (factor + eps), x0, p)
            h = dot(each(lambda g, p: g + pull * p, g, p), before)
            betas = jnp.array([1.0 - 0.1**i for i in range(1, num_betas + 1)], dtype)
            m = jnp.maximum(betas * state.m, jnp.abs(h) + eps)
            v = betas**2 * state.v + h**2
            r = betas * state.r + jnp.clip(h, -state.m, state.m) * state.s
            s = ratio(s_init / num_betas * m + jnp.maximum(r, 0), sqrt(v) + eps)
            total = jnp.sum(s)
            us = each(
                lambda g, x, p, d, u, given: cast(x - total * (d - u) - p, dtype_of_step(g, given)),
                leaves.gs,
                x0,
                p,
                before,
                u,
                leaves.ps,
            )
            starts = each(lambda new, old: cast(new, dtype_of(old)), x0, starts)
            r, m, v, s = (cast(x, dtype) for x in (r, m, v, s))
        return leaves.put(us, updates), MechanicState(
            base_state, safe_increment(state.count), r, m, v, s, leaves.put(starts, state.x0)
        )

    inside = [(base_optimizer, ("base_optimizer_state",))]
    return GradientTransformationExtraArgs(init, update, inside=inside)
