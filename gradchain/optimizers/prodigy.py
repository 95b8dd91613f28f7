"""Prodigy: Adam that estimates its own learning rate."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.hyperparameters import FINITE, POSITIVE, UNIT, check_hyperparameters
from ..core.numerics import abs_sq, accumulator_like, ema, safe_increment, sqrt
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..core.whole import at, copy_of, dot, each, each_of, ratio, scalar_dtype, sum_abs, treewise, wide_like
from ..transforms.decay import decayed_params


class ProdigyState(NamedTuple):
    """State of `prodigy`."""

    exp_avg: Params  # like params, at least float32; moving average of d g
    exp_avg_sq: Params  # like |params|, at least float32; moving average of (d |g|)^2
    grad_sum: Params  # like params, at least float32; weighted sum of gradients
    params0: Params  # like params; where the run began
    estim_lr: jax.Array  # f32[] (f64 for f64 params); d, the estimated distance to the goal
    numerator_weighted: jax.Array  # f32[]; weighted sum of <g, p_0 - p>
    count: jax.Array  # i32[]  steps taken


@transformation(beta3=UNIT, estim_lr0=POSITIVE, estim_lr_coef=FINITE)
def prodigy(
    learning_rate: ScalarOrSchedule = 1.0,
    betas: tuple[Numeric, Numeric] = (0.9, 0.999),
    beta3: Numeric | None = None,
    eps: Numeric = 1e-8,
    estim_lr0: Numeric = 1e-6,
    estim_lr_coef: Numeric = 1.0,
    weight_decay: ScalarOrSchedule = 0.0,
    safeguard_warmup: bool = False,
    *,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Prodigy: Adam's step times an estimate d of the distance from the start to the goal.

    e = learning_rate d sqrt(1 - b2^t) / (1 - b1^t);  n = beta3 n + d e <g, p_0 - p> / d_0;
    s = beta3 s + e d g / d_0;  m = b1 m + (1 - b1) d g;  v = b2 v + (1 - b2) d^2 |g|^2;
    p = p - e (m / (sqrt(v) + d eps) + weight_decay p);  d = max(d, estim_lr_coef n / |s|_1).

    Args:
        learning_rate: a factor, number, array or schedule; 1 as a rule.
        betas: the pair (b1, b2), each in [0, 1).
        beta3: decay of the estimate's sums, in [0, 1); None for sqrt(b2).
        eps: at least 0.
        estim_lr0: d_0, where d begins, positive and small.
        estim_lr_coef: factor of the estimate.
        weight_decay: decoupled; a number, an array or a schedule.
        safeguard_warmup: leave e out of s (d in its place), for learning rates that warm up.
        weight_decay_mask: a tree of booleans or a function to one: where to decay.

    State: `ProdigyState(exp_avg, exp_avg_sq, grad_sum, params0, estim_lr, ...)`. Memory: 4 x.
    Reference: Mishchenko and Defazio, 2023, Prodigy: An Expeditiously Adaptive Parameter-Free Learner,
        arXiv:2306.06101.
    """
    b1, b2 = betas
    check_hyperparameters("prodigy", {"betas[0]": b1, "betas[1]": b2}, {"betas[0]": UNIT, "betas[1]": UNIT})
    b3 = b2**0.5 if beta3 is None else beta3

    def init(params: Params) -> ProdigyState:
        dtype = scalar_dtype(params)
        return ProdigyState(
            jax.tree.map(wide_like, params),
            jax.tree.map(accumulator_like, params),
            jax.tree.map(wide_like, params),
            jax.tree.map(copy_of, params),
            jnp.asarray(estim_lr0, dtype),
            jnp.zeros([], dtype),
            jnp.zeros([], jnp.int32),
        )

    def update(
        g: list[Any], s: ProdigyState, p: list[Any], *, decayed: list[Any]
    ) -> tuple[list[Any], ProdigyState]:
        t, d, dtype = safe_increment(s.count), s.estim_lr, s.estim_lr.dtype
        rate = jnp.asarray(d * at(learning_rate, s.count) * (1 - b2**t) ** 0.5 / (1 - b1**t), dtype)
        weight = jnp.asarray((d if safeguard_warmup else rate) / estim_lr0, dtype)

        def moments(g: Any, m: Any, v: Any, total: Any) -> tuple[Any, Any, Any]:
            dg = d * g
            return ema(dg, m, b1), ema(abs_sq(dg), v, b2), b3 * total + weight * dg

        m, v, sums = each_of(3, moments, g, s.exp_avg, s.exp_avg_sq, s.grad_sum)
        moved = dot(g, each(jnp.subtract, s.params0, p))
        numerator = b3 * s.numerator_weighted + d / estim_lr0 * rate * moved
        decay = rate * at(weight_decay, s.count)
        u = each(lambda m, v, q: -decay * q - rate * ratio(m, sqrt(v) + d * eps), m, v, decayed)
        best = jnp.maximum(d, ratio(estim_lr_coef * numerator, sum_abs(sums)))
        return u, ProdigyState(m, v, sums, s.params0, best, numerator, t)

    trees = ("exp_avg", "exp_avg_sq", "grad_sum", "params0")
    return treewise(ProdigyState, trees, init, update, decayed=decayed_params(weight_decay_mask))
