"""MoMo-Adam: Adam whose step size is read off the loss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.hyperparameters import FINITE
from ..core.numerics import abs_sq, accumulator_like, ema, safe_increment, sqrt, zeros_like
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..core.whole import at, dot, each, each_of, ratio, scalar_dtype, treewise
from ..transforms.decay import decay_weights, shrinkage


class MomoAdamState(NamedTuple):
    """State of `momo_adam`."""

    exp_avg: Params  # like params, or mu_dtype; average of gradients
    exp_avg_sq: Params  # like |params|, at least float32, or nu_dtype; average of |g|^2
    barf: jax.Array  # f32[] (f64 for f64 params); average of losses
    gamma: jax.Array  # f32[]; average of <g, p>
    lb: jax.Array  # f32[]; lower bound of the loss
    count: jax.Array  # i32[]  steps taken


@transformation(lower_bound=FINITE)
def momo_adam(
    learning_rate: ScalarOrSchedule = 1e-2,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    lower_bound: Numeric = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    adapt_lower_bound: bool = False,
    *,
    mu_dtype: Any = None,
    nu_dtype: Any = None,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """MoMo-Adam: Adam with the step size of a model of the loss; `update` needs `value=loss`.

    d, v: Adam's averages;  D = sqrt(v / (1 - b2^t)) + eps;  q = 1 - b1^t;  f, c: averages of losses
    and of <g, p> that begin at 0;  w = learning_rate weight_decay;  p = p / (1 + w) - r d / D with
    r = min(learning_rate / q, max(f - q lower_bound - c + <d, p / (1 + w)>, 0) / <d, d / D / (1 + w)>).

    Args:
        learning_rate: the largest step size; a number, an array or a schedule.
        b1, b2: decays, in [0, 1).
        eps: at least 0.
        lower_bound: of the loss, any finite number.
        weight_decay: a number, an array or a schedule.
        adapt_lower_bound: estimate the bound, from `lower_bound` upwards.
        mu_dtype, nu_dtype: dtypes of d and v, by default the parameter's and at least float32.
        weight_decay_mask: a tree of booleans or a function to one: where w is not 0.

    State: `MomoAdamState(exp_avg, exp_avg_sq, barf, gamma, lb, count)`. Memory: 2 x the parameters.
    Raises: TypeError if `update` gets no `value`; ValueError if it gets no parameters.
    Reference: Schaipp et al., 2023, MoMo: Momentum Models for Adaptive Learning Rates, arXiv:2305.07583.
    """

    def init(params: Params) -> MomoAdamState:
        dtype = scalar_dtype(params)
        d = jax.tree.map(lambda p: zeros_like(p, mu_dtype), params)
        v = jax.tree.map(lambda p: accumulator_like(p, nu_dtype), params)
        f, c = jnp.zeros([], dtype), jnp.zeros([], dtype)  # two arrays: states may be donated
        return MomoAdamState(d, v, f, c, jnp.asarray(lower_bound, dtype), jnp.zeros([], jnp.int32))

    def update(
        g: list[Any], s: MomoAdamState, p: list[Any], *, value: Any, decayed: list[Any] | None = None
    ) -> tuple[list[Any], MomoAdamState]:
        t, dtype = safe_increment(s.count), s.barf.dtype
        rate, c1, c2, e = (at(x, s.count) for x in (learning_rate, b1, b2, eps))
        shrink = shrinkage(rate * at(weight_decay, s.count), p, decayed)
        weight1, weight2 = jnp.asarray(1 - c1**t, dtype), jnp.asarray(1 - c2**t, dtype)

        def moments(g: Any, d: Any, v: Any) -> tuple[Any, Any, Any]:
            d, v = ema(g, d, c1), ema(abs_sq(g), v, c2)
            return d, v, ratio(d, e + sqrt(v / weight2))

        d, v, scaled = each_of(3, moments, g, s.exp_avg, s.exp_avg_sq)
        f, c = ema(jnp.asarray(value, dtype), s.barf, c1), ema(dot(g, p), s.gamma, c1)
        ahead = f - c + dot(d, each(jnp.divide, p, shrink))  # the model's value at the shrunk parameters
        size, lb = dot(d, each(jnp.divide, scaled, shrink)), s.lb
        if adapt_lower_bound:
            lb = jnp.where(ahead < weight1 * lb, jnp.maximum(ahead / (2 * weight1), lower_bound), lb)
        tiny = size <= jnp.finfo(jnp.float64).eps
        r = jnp.where(tiny, 0, ratio(jnp.maximum(ahead - weight1 * lb, 0), size))
        r = jnp.minimum(rate / weight1, r)
        u = each(lambda x, p, shrink: (1 - shrink) / shrink * p - r * x, scaled, p, shrink)
        if adapt_lower_bound:
            lb = jnp.maximum((f + dot(d, p) - c - r * dot(d, scaled) / 2) / weight1, lower_bound)
        return u, MomoAdamState(d, v, f, c, lb, t)

    trees = ("exp_avg", "exp_avg_sq")
    decayed = None if weight_decay_mask is None else decay_weights(weight_decay_mask)
    return treewise(MomoAdamState, trees, init, update, extra=("value",), decayed=decayed)
