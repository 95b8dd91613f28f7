"""Stable-SPAM: Adam on gradients whose spikes and norms are held near their averages."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import POSITIVE, UNIT, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, norm, ratio, sqrt, zeros_like
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Numeric,
    Params,
    ScalarOrSchedule,
)
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decoupled


class ScaleByStableSpamState(NamedTuple):
    """State of `scale_by_stable_spam`. The last three have one number for each array."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of normalized gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; moving average of their squares
    norm: Params  # f32[]; moving average of the norm
    norm_sq: Params  # f32[]; moving average of the squared norm
    largest: Params  # f32[]; moving average of the largest entry


@transformation(gamma1=UNIT, gamma2=UNIT, theta=UNIT, reset_interval=POSITIVE)
def scale_by_stable_spam(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    gamma1: Hyperparameter = 0.7,
    gamma2: Hyperparameter = 0.9,
    theta: Hyperparameter = 0.999,
    reset_interval: Numeric = 1000,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's rule on gradients that are clipped and normalized by averages, with moments that begin anew.

    c = theta c + (1 - theta) max |g|; entries above c' become g c' / max |g|;
    n = gamma1 n + (1 - gamma1) |g|;  q = gamma2 q + (1 - gamma2) |g|^2;
    g = g / |g| n' / (sqrt(q') + eps);  m, v and u as in `scale_by_adam`. Primes: debiased.

    At every `reset_interval`-th step m = v = 0 before they take the gradient, and their debiasing counts
    from 1 again: this step is about the sign of the gradient. (In the authors' code it still has the old
    m and v.) An array whose gradient is zero waits: only c goes on.

    Args:
        eps: added to each root, at least 0.
        gamma1, gamma2: decays of the averages of norms, in [0, 1).
        theta: decay of the average of the largest entry, in [0, 1).
        reset_interval: steps between resets, at least 1.

    State: `ScaleByStableSpamState(count, mu, nu, norm, norm_sq, largest)`. Memory: 2 x the parameters.
    Reference: Huang et al., 2025, arXiv:2502.17055.

    Example:
        >>> tx = gc.scale_by_stable_spam(b1=0.0)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (1.0, 1000.0, 1.0):  # the spike is cut off; Adam's last step would be 0.002
        ...     u, state = tx.update(jnp.array([g]), state)
        ...     print([round(x, 2) for x in u.tolist()])
        [1.0]
        [0.89]
        [0.69]
    """

    def init(p: Array) -> ScaleByStableSpamState:
        def zero() -> Array:
            return jnp.sum(accumulator_like(p))

        mu, nu = zeros_like(p, mu_dtype), accumulator_like(p, nu_dtype)
        return ScaleByStableSpamState(0, mu, nu, zero(), zero(), zero())

    def update(
        g: Array, s: ScaleByStableSpamState, p: Array | None
    ) -> tuple[Array, ScaleByStableSpamState]:
        t = s.count
        k = t % reset_interval
        since = jnp.where(t < reset_interval, t, k + 1)
        top = sqrt(jnp.max(abs_sq(g), initial=0))
        largest = ema(top, s.largest, theta)
        bound = debias(largest, theta, t)
        g = jnp.where(abs_sq(g) > bound**2, ratio(g, top) * bound, g)
        length = norm(g)
        moves = length > 0
        mean, mean_sq = ema(length, s.norm, gamma1), ema(length**2, s.norm_sq, gamma2)
        wanted = ratio(debias(mean, gamma1, t), sqrt(debias(mean_sq, gamma2, t)) + eps)
        g = ratio(g, length) * wanted
        old_mu, old_nu = jnp.where(k == 0, 0, s.mu), jnp.where(k == 0, 0, s.nu)
        mu, nu = ema(g, old_mu, b1), ema(abs_sq(g), old_nu, b2)
        u = ratio(debias(mu, b1, since), sqrt(debias(nu, b2, since)) + eps)
        return jnp.where(moves, u, 0), s._replace(
            mu=jnp.where(moves, mu, old_mu),
            nu=jnp.where(moves, nu, old_nu),
            norm=jnp.where(moves, mean, s.norm),
            norm_sq=jnp.where(moves, mean_sq, s.norm_sq),
            largest=largest,
        )

    return leafwise(init, update, like_params=False, traits=[Trait.RESCALES])


@transformation(deferred=True, gamma1=UNIT, gamma2=UNIT, theta=UNIT, reset_interval=POSITIVE)
def stable_spam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    gamma1: ScalarOrSchedule = 0.7,
    gamma2: ScalarOrSchedule = 0.9,
    theta: ScalarOrSchedule = 0.999,
    reset_interval: Numeric = 1000,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Stable-SPAM: p = p - learning_rate (m' / (sqrt(v') + eps) + weight_decay p).

    m and v are Adam's, of gradients whose largest entries and whose norm are held near their averages; they
    begin anew every `reset_interval` steps. See `scale_by_stable_spam`.

    Args:
        b1, b2, eps, gamma1, gamma2, theta, reset_interval: see `scale_by_stable_spam`. The authors' cosine
            for b1 and gamma1 is a schedule given for each.

    State: a chain's: `ScaleByStableSpamState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Huang et al., 2025, Stable-SPAM: How to Train in 4-Bit More Stably than 16-Bit Adam,
        arXiv:2502.17055.

    Example:
        >>> tx, p = gc.stable_spam(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, -3.0], [3.0, -3.0]):  # without spikes, Adam's steps
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.0, 1.0]
    """
    averages = (gamma1, gamma2, theta, reset_interval)
    return chain(
        scale_by_stable_spam(b1, b2, eps, *averages, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
