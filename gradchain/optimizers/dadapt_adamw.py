"""D-Adaptation for AdamW: the learning rate is estimated."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ..core import POSITIVE, UNIT, check_numbers, transformation, treewise
from ..core.lists import dot, each, each_of, scalar_dtype, sum_abs
from ..core.numerics import abs_sq, accumulator_like, ema, ratio, sqrt, weight_after, wide_like
from ..core.types import Array, Count, Hyperparameter, MaskOrFn, Numeric, Params
from ..transforms.decay import decay_of, decays


class DAdaptAdamWState(NamedTuple):
    """State of `dadapt_adamw`."""

    exp_avg: Params  # like params, at least float32; moving average of the steps d g
    exp_avg_sq: Params  # like |params|, at least float32; moving average of |g|^2
    grad_sum: Params  # like params, at least float32; weighted average of d g
    estim_lr: Array  # f32[] (f64 for f64 params); d, the estimated distance to the goal
    numerator_weighted: Array  # f32[]; weighted sum of <g, s / sqrt(v)>
    count: Count  # i32[]  steps taken


@transformation(estim_lr0=POSITIVE)
def dadapt_adamw(
    learning_rate: Hyperparameter = 1.0,
    betas: tuple[Numeric, Numeric] = (0.9, 0.999),
    eps: Numeric = 1e-8,
    estim_lr0: Numeric = 1e-6,
    weight_decay: Hyperparameter = 0.0,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """AdamW whose learning rate is an estimate d of the distance to the goal.

    e = learning_rate d sqrt(1 - b2^t) / (1 - b1^t);  c = sqrt(b2);
    n = c n + (1 - c) e <g, s / (sqrt(v) + eps)>;  s = c s + (1 - c) e g;
    m = b1 m + (1 - b1) e g;  v = b2 v + (1 - b2) |g|^2;  d = max(d, n / ((1 - c) |s|_1));
    p = p - m / (sqrt(v) + eps) - weight_decay e p.

    Args:
        learning_rate: a factor of the step: a number, an array or a schedule; usually 1.
        betas: the pair (b1, b2), each in [0, 1).
        estim_lr0: first value of d, positive and small.

    State: `DAdaptAdamWState(exp_avg, exp_avg_sq, grad_sum, estim_lr, numerator_weighted, count)`.
    Memory: 3 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Defazio and Mishchenko, 2023, Learning-Rate-Free Learning by D-Adaptation,
        arXiv:2301.07733.

    Example:
        >>> tx, p = gc.dadapt_adamw(estim_lr0=0.5), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(3):  # where all goes downhill, the estimate of the distance grows
        ...     p, state = tx.step(-jnp.ones(1), state, p)
        ...     print([round(x, 2) for x in p.tolist()])
        [0.5]
        [1.08]
        [2.3]
    """
    b1, b2 = betas
    check_numbers("dadapt_adamw", {"betas[0]": b1, "betas[1]": b2}, {"betas[0]": UNIT, "betas[1]": UNIT})
    c = b2**0.5

    def init(ps: list[Array]) -> DAdaptAdamWState:
        dtype = scalar_dtype(ps)
        return DAdaptAdamWState(
            exp_avg=[wide_like(p) for p in ps],
            exp_avg_sq=[accumulator_like(p) for p in ps],
            grad_sum=[wide_like(p) for p in ps],
            estim_lr=jnp.asarray(estim_lr0, dtype),
            numerator_weighted=jnp.zeros([], dtype),
            count=0,
        )

    def update(
        g: list[Array], s: DAdaptAdamWState, p: list[Array], *, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], DAdaptAdamWState]:
        bias = weight_after(s.count, b2) ** 0.5 / weight_after(s.count, b1)
        rate = jnp.asarray(s.estim_lr * learning_rate * bias, s.estim_lr.dtype)
        toward = each(lambda total, v: ratio(total, sqrt(v) + eps), s.grad_sum, s.exp_avg_sq)

        def moments(g: Array, m: Array, v: Array, total: Array) -> tuple[Array, Array, Array]:
            return ema(rate * g, m, b1), ema(abs_sq(g), v, b2), ema(rate * g, total, c)

        m, v, sums = each_of(3, moments, g, s.exp_avg, s.exp_avg_sq, s.grad_sum)
        numerator = ema(rate * dot(g, toward), s.numerator_weighted, c)
        best = jnp.maximum(s.estim_lr, ratio(numerator, (1 - c) * sum_abs(sums)))
        decay = decay_of(rate * weight_decay, p, settings)
        u = each(lambda m, v, p, decay: -decay * p - ratio(m, sqrt(v) + eps), m, v, p, decay)
        return u, s._replace(
            exp_avg=m, exp_avg_sq=v, grad_sum=sums, estim_lr=best, numerator_weighted=numerator
        )

    return treewise(init, update, settings=decays(weight_decay_mask))
