"""MoMo-Adam: Adam with a step size computed from the loss."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ..core import FINITE, transformation, treewise
from ..core.lists import dot, each, each_of, scalar_dtype
from ..core.numerics import abs_sq, accumulator_like, ema, ratio, sqrt, weight_after, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, MaskOrFn, Numeric, Params
from ..transforms.decay import decays, shrinkage


class MomoAdamState(NamedTuple):
    """State of `momo_adam`."""

    exp_avg: Params  # like params, or mu_dtype; average of gradients
    exp_avg_sq: Params  # like |params|, at least float32, or nu_dtype; average of |g|^2
    barf: Array  # f32[] (f64 for f64 params); average of losses
    gamma: Array  # f32[]; average of <g, p>
    lb: Array  # f32[]; lower bound of the loss
    count: Count  # i32[]  steps taken


@transformation(lower_bound=FINITE)
def momo_adam(
    learning_rate: Hyperparameter = 1e-2,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    lower_bound: Numeric = 0.0,
    weight_decay: Hyperparameter = 0.0,
    adapt_lower_bound: bool = False,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """MoMo-Adam: Adam with the step size of a model of the loss; `update` needs `value=loss`.

    d, v: Adam's averages;  D = sqrt(v / (1 - b2^t)) + eps;  q = 1 - b1^t;  f, c: averages of losses
    and of <g, p> that begin at 0;  w = learning_rate weight_decay;  p = p / (1 + w) - r d / D with
    r = min(learning_rate / q, max(f - q lower_bound - c + <d, p / (1 + w)>, 0) / <d, d / D / (1 + w)>).

    Args:
        learning_rate: the largest step size; a number, an array or a schedule.
        lower_bound: lower bound of the loss, any finite number.
        adapt_lower_bound: True estimates the bound, starting from `lower_bound`.

    State: `MomoAdamState(exp_avg, exp_avg_sq, barf, gamma, lb, count)`. Memory: 2 x the parameters.
    Raises: TypeError if `update` gets no `value`; ValueError if it gets no parameters.
    Reference: Schaipp et al., 2023, MoMo: Momentum Models for Adaptive Learning Rates, arXiv:2305.07583.

    Example:
        >>> tx, p = gc.momo_adam(10.0), jnp.array([4.0])
        >>> p, _ = tx.step(2 * p, tx.init(p), p, value=jnp.sum(p**2))
        >>> [round(x, 3) for x in p.tolist()]  # as far as the loss, 16, needs with slope 8
        [2.0]
    """

    def init(ps: list[Array]) -> MomoAdamState:
        dtype = scalar_dtype(ps)
        return MomoAdamState(
            exp_avg=[zeros_like(p, mu_dtype) for p in ps],
            exp_avg_sq=[accumulator_like(p, nu_dtype) for p in ps],
            barf=jnp.zeros([], dtype),
            gamma=jnp.zeros([], dtype),
            lb=jnp.asarray(lower_bound, dtype),
            count=0,
        )

    def update(
        g: list[Array], s: MomoAdamState, p: list[Array], *, value: Array, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], MomoAdamState]:
        dtype = s.barf.dtype
        shrink = shrinkage(learning_rate * weight_decay, p, settings)
        weight1, weight2 = (jnp.asarray(weight_after(s.count, b), dtype) for b in (b1, b2))

        def moments(g: Array, d: Array, v: Array) -> tuple[Array, Array, Array]:
            d, v = ema(g, d, b1), ema(abs_sq(g), v, b2)
            return d, v, ratio(d, eps + sqrt(v / weight2))

        d, v, scaled = each_of(3, moments, g, s.exp_avg, s.exp_avg_sq)
        f, c = ema(jnp.asarray(value, dtype), s.barf, b1), ema(dot(g, p), s.gamma, b1)
        ahead = f - c + dot(d, each(jnp.divide, p, shrink))  # the model's value at the shrunk parameters
        size, lb = dot(d, each(jnp.divide, scaled, shrink)), s.lb
        if adapt_lower_bound:
            lb = jnp.where(ahead < weight1 * lb, jnp.maximum(ahead / (2 * weight1), lower_bound), lb)
        tiny = size <= jnp.finfo(jnp.float64).eps
        r = jnp.where(tiny, 0, ratio(jnp.maximum(ahead - weight1 * lb, 0), size))
        r = jnp.minimum(learning_rate / weight1, r)
        u = each(lambda x, p, shrink: (1 - shrink) / shrink * p - r * x, scaled, p, shrink)
        if adapt_lower_bound:
            lb = jnp.maximum((f + dot(d, p) - c - r * dot(d, scaled) / 2) / weight1, lower_bound)
        return u, s._replace(exp_avg=d, exp_avg_sq=v, barf=f, gamma=c, lb=lb)

    return treewise(init, update, extra=["value"], settings=decays(weight_decay_mask))
