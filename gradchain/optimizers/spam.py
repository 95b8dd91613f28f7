"""SPAM: Adam that cuts spikes of the gradient and begins its moments anew."""

import jax.numpy as jnp

from ..core import NON_NEGATIVE, POSITIVE, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, ema, ratio, sqrt, weight_after, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled_last

FIRST = 0.99
"""How much of a step is missing where a warmup would begin, one step before the moments begin anew."""


@transformation(
    threshold=POSITIVE, reset_interval=POSITIVE, warmup_steps=NON_NEGATIVE, clip_after=NON_NEGATIVE
)
def scale_by_spam(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-6,
    threshold: Hyperparameter = 5000.0,
    reset_interval: Numeric = 500,
    warmup_steps: Numeric = 150,
    clip_after: Numeric = 20,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's rule with spikes cut off, whose moments begin anew every `reset_interval` steps.

    At step t, k = t mod reset_interval; where k = 0, m = v = 0 first.
    Where k >= clip_after and |g|^2 > threshold v, g = sqrt(threshold v) g / |g|, entry by entry;
    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g|^2;
    u = w sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps);
    w = 1 - 0.99 (1 + cos(pi (k + 1) / (warmup_steps + 1))) / 2 for k < warmup_steps after the first reset,
    else 1.

    As the authors have it, t goes on counting through resets. Unlike theirs, an entry whose v is still 0 is
    not clipped: it could never move.

    Args:
        eps: added to sqrt(v) before debiasing.
        threshold: what |g|^2 / v may be, more than 0.
        reset_interval: steps between resets, at least 1.
        warmup_steps: steps after a reset until full steps, at least 0.
        clip_after: steps after a reset without clipping, at least 0.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Huang et al., 2025, arXiv:2501.06842.

    Example:
        >>> tx = gc.scale_by_spam(b1=0.0, b2=0.5, threshold=4.0, clip_after=0)
        >>> state = tx.init(jnp.zeros(2))
        >>> for g in ([1.0, 1.0], [1.0, 1000.0]):  # v = 1 / 2: the spike counts as sqrt(2)
        ...     u, state = tx.update(jnp.array(g), state)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [1.0, 1.095]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        k = s.count % reset_interval
        mu, nu = jnp.where(k == 0, 0, s.mu), jnp.where(k == 0, 0, s.nu)
        size = abs_sq(g)
        limit = threshold * nu
        spike = (k >= clip_after) & (s.count >= clip_after) & (size > limit) & (nu > 0)
        g = jnp.where(spike, g * sqrt(limit / jnp.where(spike, size, 1)), g)
        mu, nu = ema(g, mu, b1), ema(abs_sq(g), nu, b2)
        missing = FIRST * (1 + jnp.cos(jnp.pi * (k + 1) / (warmup_steps + 1))) / 2
        warming = (s.count >= reset_interval) & (k < warmup_steps)
        factor = sqrt(weight_after(s.count, b2)) / weight_after(s.count, b1)
        u = jnp.where(warming, 1 - missing, 1) * factor * ratio(mu, sqrt(nu) + eps)
        return u, s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(
    deferred=True,
    threshold=POSITIVE,
    reset_interval=POSITIVE,
    warmup_steps=NON_NEGATIVE,
    clip_after=NON_NEGATIVE,
)
def spam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-6,
    threshold: ScalarOrSchedule = 5000.0,
    reset_interval: Numeric = 500,
    warmup_steps: Numeric = 150,
    clip_after: Numeric = 20,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """SPAM: p = (p - learning_rate w m' / (sqrt(v') + eps)) (1 - learning_rate weight_decay).

    m and v are Adam's, of gradients whose spikes are cut off; they begin anew every `reset_interval` steps,
    followed by a warmup w. See `scale_by_spam`. The authors' sparse momentum is not here.

    Args:
        b1, b2, eps, threshold, reset_interval, warmup_steps, clip_after: see `scale_by_spam`.
        weight_decay: of the parameters after their step, times the learning rate.

    State: a chain's: `ScaleByAdamState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Huang et al., 2025, SPAM: Spike-Aware Adam with Momentum Reset for Stable LLM Training,
        arXiv:2501.06842.

    Example:
        >>> tx, p = gc.spam(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, -1.0], [3.0, -1.0]):  # without spikes, Adam's steps
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.0, 1.0]
    """
    resets = (threshold, reset_interval, warmup_steps, clip_after)
    return chain(
        scale_by_spam(b1, b2, eps, *resets, mu_dtype, nu_dtype=nu_dtype),
        scale_by_learning_rate(learning_rate),
        *decoupled_last(learning_rate, weight_decay, weight_decay_mask),
    )
