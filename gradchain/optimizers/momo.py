"""MoMo: momentum with a step size computed from the loss."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ..core import FINITE, UNIT, transformation, treewise
from ..core.lists import dot, each, scalar_dtype, sum_sq
from ..core.numerics import ema, ratio, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, MaskOrFn, Numeric, Params
from ..transforms.decay import decays, shrinkage


class MomoState(NamedTuple):
    """State of `momo`."""

    exp_avg: Params  # like params, or mu_dtype; average of gradients
    barf: Array  # f32[] (f64 for f64 params); average of losses
    gamma: Array  # f32[]; average of <g, p>
    lb: Array  # f32[]; lower bound of the loss
    count: Count  # i32[]  steps taken


@transformation(beta=UNIT, lower_bound=FINITE)
def momo(
    learning_rate: Hyperparameter = 1.0,
    beta: Hyperparameter = 0.9,
    lower_bound: Numeric = 0.0,
    weight_decay: Hyperparameter = 0.0,
    adapt_lower_bound: bool = False,
    *,
    mu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """MoMo: SGD with momentum and the step size of a model of the loss; `update` needs `value=loss`.

    d = average of g;  f = average of losses;  c = average of <g, p>;  q = p / (1 + w) with
    w = learning_rate weight_decay;
    r = min(learning_rate, max(f - lower_bound - c + <d, q>, 0) / <d, d / (1 + w)>);  p = q - r d.

    Args:
        learning_rate: the largest step size; a number, an array or a schedule.
        beta: decay of the averages, in [0, 1). The first step uses only its own gradient.
        lower_bound: lower bound of the loss, any finite number.
        adapt_lower_bound: True estimates the bound, starting from `lower_bound`.
        mu_dtype: dtype of d, by default the parameter's.

    State: `MomoState(exp_avg, barf, gamma, lb, count)`. Memory: 1 x the parameters.
    Raises: TypeError if `update` gets no `value`; ValueError if it gets no parameters.
    Reference: Schaipp et al., 2023, MoMo: Momentum Models for Adaptive Learning Rates, arXiv:2305.07583.

    Example:
        >>> tx, p = gc.momo(10.0), jnp.array([4.0])
        >>> p, _ = tx.step(2 * p, tx.init(p), p, value=jnp.sum(p**2))
        >>> [round(x, 3) for x in p.tolist()]  # where the line along the gradient, 16 - 8 x, reaches 0
        [2.0]
    """

    def init(ps: list[Array]) -> MomoState:
        dtype = scalar_dtype(ps)
        d = [zeros_like(p, mu_dtype) for p in ps]
        f, c = jnp.zeros([], dtype), jnp.zeros([], dtype)  # two arrays: states may be donated
        return MomoState(exp_avg=d, barf=f, gamma=c, lb=jnp.asarray(lower_bound, dtype), count=0)

    def update(
        g: list[Array], s: MomoState, p: list[Array], *, value: Array, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], MomoState]:
        decay, dtype = jnp.where(s.count == 1, 0.0, beta), s.barf.dtype
        shrink = shrinkage(learning_rate * weight_decay, p, settings)
        f = ema(jnp.asarray(value, dtype), s.barf, decay)
        d = each(lambda g, d: ema(g, d, decay), g, s.exp_avg)
        c = ema(dot(g, p), s.gamma, decay)
        ahead = f - c + dot(d, each(jnp.divide, p, shrink))  # the model's value at the shrunk parameters
        size, lb = dot(d, each(jnp.divide, d, shrink)), s.lb
        if adapt_lower_bound:
            lb = jnp.where(ahead < lb, jnp.maximum(ahead / 2, lower_bound), lb)
        tiny = size <= jnp.finfo(jnp.float64).eps
        r = jnp.where(tiny, 0, jnp.minimum(learning_rate, ratio(jnp.maximum(ahead - lb, 0), size)))
        u = each(lambda d, p, shrink: (1 - shrink) / shrink * p - r * d, d, p, shrink)
        if adapt_lower_bound:
            lb = jnp.maximum(f + dot(d, p) - c - r * sum_sq(d) / 2, lower_bound)
        return u, s._replace(exp_avg=d, barf=f, gamma=c, lb=lb)

    return treewise(init, update, extra=["value"], settings=decays(weight_decay_mask))
