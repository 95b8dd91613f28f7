"""MoMo: momentum whose step size is read off the loss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.hyperparameters import FINITE, UNIT
from ..core.numerics import ema, safe_increment, zeros_like
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import Numeric, Params, ScalarOrSchedule
from ..core.whole import at, dot, each, ratio, scalar_dtype, sum_sq, treewise


class MomoState(NamedTuple):
    """State of `momo`."""

    exp_avg: Params  # like params, or mu_dtype; average of gradients
    barf: jax.Array  # f32[] (f64 for f64 params); average of losses
    gamma: jax.Array  # f32[]; average of <g, p>
    lb: jax.Array  # f32[]; lower bound of the loss
    count: jax.Array  # i32[]  steps taken


@transformation(beta=UNIT, lower_bound=FINITE)
def momo(
    learning_rate: ScalarOrSchedule = 1.0,
    beta: ScalarOrSchedule = 0.9,
    lower_bound: Numeric = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    adapt_lower_bound: bool = False,
    *,
    mu_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """MoMo: SGD with momentum and the step size of a model of the loss; `update` needs `value=loss`.

    d = average of g;  f = average of losses;  c = average of <g, p>;  w = learning_rate weight_decay;
    r = min(learning_rate, max((1 + w)(f - lower_bound - c) + <d, p>, 0) / |d|^2);
    p = p / (1 + w) - r d.

    Args:
        learning_rate: the largest step size; a number, an array or a schedule.
        beta: decay of the averages, in [0, 1). The first step takes its own gradient alone.
        lower_bound: of the loss, any finite number.
        weight_decay: a number, an array or a schedule.
        adapt_lower_bound: estimate the bound, from `lower_bound` upwards.
        mu_dtype: dtype of d, by default the parameter's.

    State: `MomoState(exp_avg, barf, gamma, lb, count)`. Memory: 1 x the parameters.
    Raises: TypeError if `update` gets no `value`; ValueError if it gets no parameters.
    Reference: Schaipp et al., 2023, MoMo: Momentum Models for Adaptive Learning Rates, arXiv:2305.07583.
    """

    def init(params: Params) -> MomoState:
        dtype = scalar_dtype(params)
        d = jax.tree.map(lambda p: zeros_like(p, mu_dtype), params)
        f, c = jnp.zeros([], dtype), jnp.zeros([], dtype)  # two arrays: states may be donated
        return MomoState(d, f, c, jnp.asarray(lower_bound, dtype), jnp.zeros([], jnp.int32))

    def update(g: list[Any], s: MomoState, p: list[Any], *, value: Any) -> tuple[list[Any], MomoState]:
        decay = jnp.where(s.count == 0, 0.0, at(beta, s.count))
        rate, dtype = at(learning_rate, s.count), s.barf.dtype
        shrink = 1 + rate * at(weight_decay, s.count)
        f = ema(jnp.asarray(value, dtype), s.barf, decay)
        d = each(lambda g, d: ema(g, d, decay), g, s.exp_avg)
        c = ema(dot(g, p), s.gamma, decay)
        size, along = sum_sq(d), dot(d, p)
        lb = s.lb
        if adapt_lower_bound:
            cap = shrink * (f - c) + along
            lb = jnp.where(cap < shrink * lb, jnp.maximum(cap / (2 * shrink), lower_bound), lb)
        tiny = size <= jnp.finfo(jnp.float64).eps
        r = jnp.where(tiny, 0, ratio(jnp.maximum(shrink * (f - lb - c) + along, 0), size))
        r = jnp.minimum(rate, r)
        u = each(lambda d, p: (1 - shrink) / shrink * p - r * d, d, p)
        lb = jnp.maximum(f + along - c - r * size / 2, lower_bound) if adapt_lower_bound else s.lb
        return u, MomoState(d, f, c, lb, safe_increment(s.count))

    return treewise(MomoState, ("exp_avg",), init, update, extra=("value",))
