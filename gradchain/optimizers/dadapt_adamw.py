"""D-Adaptation for AdamW: the learning rate is estimated."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.hyperparameters import POSITIVE, UNIT, check_hyperparameters
from ..core.numerics import abs_sq, accumulator_like, ema, safe_increment, sqrt
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..core.whole import at, dot, each, each_of, ratio, scalar_dtype, sum_abs, treewise, wide_like
from ..transforms.decay import decayed_params


class DAdaptAdamWState(NamedTuple):
    """State of `dadapt_adamw`."""

    exp_avg: Params  # like params, at least float32; moving average of the steps d g
    exp_avg_sq: Params  # like |params|, at least float32; moving average of |g|^2
    grad_sum: Params  # like params, at least float32; weighted average of d g
    estim_lr: jax.Array  # f32[] (f64 for f64 params); d, the estimated distance to the goal
    numerator_weighted: jax.Array  # f32[]; weighted sum of <g, s / sqrt(v)>
    count: jax.Array  # i32[]  steps taken


@transformation(estim_lr0=POSITIVE)
def dadapt_adamw(
    learning_rate: ScalarOrSchedule = 1.0,
    betas: tuple[Numeric, Numeric] = (0.9, 0.999),
    eps: Numeric = 1e-8,
    estim_lr0: Numeric = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    *,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """AdamW whose learning rate is an estimate d of the distance to the goal.

    e = learning_rate d sqrt(1 - b2^t) / (1 - b1^t);  c = sqrt(b2);
    n = c n + (1 - c) e <g, s / (sqrt(v) + eps)>;  s = c s + (1 - c) e g;
    m = b1 m + (1 - b1) e g;  v = b2 v + (1 - b2) |g|^2;  d = max(d, n / ((1 - c) |s|_1));
    p = p - m / (sqrt(v) + eps) - weight_decay e p.

    Args:
        learning_rate: a factor, number, array or schedule; 1 as a rule.
        betas: the pair (b1, b2), each in [0, 1).
        eps: at least 0.
        estim_lr0: where d begins, positive and small.
        weight_decay: decoupled; a number, an array or a schedule.
        weight_decay_mask: a tree of booleans or a function to one: where to decay.

    State: `DAdaptAdamWState(exp_avg, exp_avg_sq, grad_sum, estim_lr, numerator_weighted, count)`.
    Memory: 3 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Defazio and Mishchenko, 2023, Learning-Rate-Free Learning by D-Adaptation,
        arXiv:2301.07733.
    """
    b1, b2 = betas
    check_hyperparameters(
        "dadapt_adamw", {"betas[0]": b1, "betas[1]": b2}, {"betas[0]": UNIT, "betas[1]": UNIT}
    )
    c = b2**0.5

    def init(params: Params) -> DAdaptAdamWState:
        dtype = scalar_dtype(params)
        return DAdaptAdamWState(
            jax.tree.map(wide_like, params),
            jax.tree.map(accumulator_like, params),
            jax.tree.map(wide_like, params),
            jnp.asarray(estim_lr0, dtype),
            jnp.zeros([], dtype),
            jnp.zeros([], jnp.int32),
        )

    def update(
        g: list[Any], s: DAdaptAdamWState, p: list[Any], *, decayed: list[Any]
    ) -> tuple[list[Any], DAdaptAdamWState]:
        t = safe_increment(s.count)
        bias = (1 - b2**t) ** 0.5 / (1 - b1**t)
        rate = jnp.asarray(s.estim_lr * at(learning_rate, s.count) * bias, s.estim_lr.dtype)
        toward = each(lambda total, v: ratio(total, sqrt(v) + eps), s.grad_sum, s.exp_avg_sq)

        def moments(g: Any, m: Any, v: Any, total: Any) -> tuple[Any, Any, Any]:
            return ema(rate * g, m, b1), ema(abs_sq(g), v, b2), ema(rate * g, total, c)

        m, v, sums = each_of(3, moments, g, s.exp_avg, s.exp_avg_sq, s.grad_sum)
        numerator = ema(rate * dot(g, toward), s.numerator_weighted, c)
        best = jnp.maximum(s.estim_lr, ratio(numerator, (1 - c) * sum_abs(sums)))
        decay = rate * at(weight_decay, s.count)
        u = each(lambda m, v, q: -decay * q - ratio(m, sqrt(v) + eps), m, v, decayed)
        return u, DAdaptAdamWState(m, v, sums, best, numerator, t)

    trees = ("exp_avg", "exp_avg_sq", "grad_sum")
    return treewise(DAdaptAdamWState, trees, init, update, decayed=decayed_params(weight_decay_mask))
