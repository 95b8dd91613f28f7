"""Prodigy: Adam that estimates its own learning rate."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ..core import FINITE, POSITIVE, UNIT, check_numbers, transformation, treewise
from ..core.lists import dot, each, each_of, scalar_dtype, sum_abs
from ..core.numerics import abs_sq, accumulator_like, copy_of, ema, ratio, sqrt, weight_after, wide_like
from ..core.types import Array, Count, Hyperparameter, MaskOrFn, Numeric, Params
from ..transforms.decay import decay_of, decays


class ProdigyState(NamedTuple):
    """State of `prodigy`."""

    exp_avg: Params  # like params, at least float32; moving average of d g
    exp_avg_sq: Params  # like |params|, at least float32; moving average of (d |g|)^2
    grad_sum: Params  # like params, at least float32; weighted sum of gradients
    params0: Params  # like params; the initial parameters
    estim_lr: Array  # f32[] (f64 for f64 params); d, the estimated distance to the goal
    numerator_weighted: Array  # f32[]; weighted sum of <g, p_0 - p>
    count: Count  # i32[]  steps taken


@transformation(beta3=UNIT, estim_lr0=POSITIVE, estim_lr_coef=FINITE)
def prodigy(
    learning_rate: Hyperparameter = 1.0,
    betas: tuple[Numeric, Numeric] = (0.9, 0.999),
    beta3: Numeric | None = None,
    eps: Numeric = 1e-8,
    estim_lr0: Numeric = 1e-6,
    estim_lr_coef: Numeric = 1.0,
    weight_decay: Hyperparameter = 0.0,
    safeguard_warmup: bool = False,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """Prodigy: Adam's step times an estimate d of the distance from the start to the goal.

    e = learning_rate d sqrt(1 - b2^t) / (1 - b1^t);  n = beta3 n + d e <g, p_0 - p> / d_0;
    s = beta3 s + e d g / d_0;  m = b1 m + (1 - b1) d g;  v = b2 v + (1 - b2) d^2 |g|^2;
    p = p - e (m / (sqrt(v) + d eps) + weight_decay p);  d = max(d, estim_lr_coef n / |s|_1).

    Args:
        learning_rate: a factor of the step: a number, an array or a schedule; usually 1.
        betas: the pair (b1, b2), each in [0, 1).
        beta3: decay of the estimate's sums, in [0, 1); None for sqrt(b2).
        estim_lr0: d_0, the first value of d, positive and small.
        estim_lr_coef: factor of the estimate.
        safeguard_warmup: True uses d in place of e in s, for learning rates that warm up.

    State: `ProdigyState(exp_avg, exp_avg_sq, grad_sum, params0, estim_lr, ...)`. Memory: 4 x.
    Reference: Mishchenko and Defazio, 2023, Prodigy: An Expeditiously Adaptive Parameter-Free Learner,
        arXiv:2306.06101.

    Example:
        >>> tx, p = gc.prodigy(estim_lr0=0.1), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(5):  # where all goes downhill, the estimate of the distance grows
        ...     p, state = tx.step(-jnp.ones(1), state, p)
        >>> round(float(state.estim_lr), 2)
        0.19
    """
    b1, b2 = betas
    check_numbers("prodigy", {"betas[0]": b1, "betas[1]": b2}, {"betas[0]": UNIT, "betas[1]": UNIT})
    b3 = b2**0.5 if beta3 is None else beta3

    def init(ps: list[Array]) -> ProdigyState:
        dtype = scalar_dtype(ps)
        return ProdigyState(
            exp_avg=[wide_like(p) for p in ps],
            exp_avg_sq=[accumulator_like(p) for p in ps],
            grad_sum=[wide_like(p) for p in ps],
            params0=[copy_of(p) for p in ps],
            estim_lr=jnp.asarray(estim_lr0, dtype),
            numerator_weighted=jnp.zeros([], dtype),
            count=0,
        )

    def update(
        g: list[Array], s: ProdigyState, p: list[Array], *, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], ProdigyState]:
        t, d, dtype = s.count, s.estim_lr, s.estim_lr.dtype
        rate = jnp.asarray(d * learning_rate * weight_after(t, b2) ** 0.5 / weight_after(t, b1), dtype)
        weight = jnp.asarray((d if safeguard_warmup else rate) / estim_lr0, dtype)

        def moments(g: Array, m: Array, v: Array, total: Array) -> tuple[Array, Array, Array]:
            dg = d * g
            return ema(dg, m, b1), ema(abs_sq(dg), v, b2), b3 * total + weight * dg

        m, v, sums = each_of(3, moments, g, s.exp_avg, s.exp_avg_sq, s.grad_sum)
        moved = dot(g, each(jnp.subtract, s.params0, p))
        numerator = b3 * s.numerator_weighted + d / estim_lr0 * rate * moved
        decay = decay_of(rate * weight_decay, p, settings)
        u = each(lambda m, v, p, decay: -decay * p - rate * ratio(m, sqrt(v) + d * eps), m, v, p, decay)
        best = jnp.maximum(d, ratio(estim_lr_coef * numerator, sum_abs(sums)))
        return u, s._replace(
            exp_avg=m, exp_avg_sq=v, grad_sum=sums, estim_lr=best, numerator_weighted=numerator
        )

    return treewise(init, update, settings=decays(weight_decay_mask))
