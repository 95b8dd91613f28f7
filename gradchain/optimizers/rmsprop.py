"""RMSprop: plain, centered, with momentum."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import Trait, chain, identity, leafwise, transformation
from ..core.numerics import abs_sq, debias, ema, full_like, zeros_like
from ..core.types import AddedNumber, Array, Count, DTypeLike, MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..transforms import scale_by_learning_rate, scale_by_rms, trace
from ..transforms.decay import decoupled
from ..transforms.scale_by_rms import divide_by_root


class ScaleByRStdDevState(NamedTuple):
    """State of `scale_by_stddev`."""

    mu: Params  # like params, or mu_dtype; moving average of gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; moving average of squared gradients


class ScaleByRStdDevWithCountState(NamedTuple):
    """State of `scale_by_stddev` with `bias_correction`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; moving average of squared gradients


_StdDevState = ScaleByRStdDevState | ScaleByRStdDevWithCountState


@transformation
def scale_by_stddev(
    decay: Numeric = 0.9,
    eps: Numeric = 1e-8,
    initial_scale: Numeric = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales by a moving estimate of the gradient's standard deviation (centered RMS).

    m = decay m + (1 - decay) g;  v = decay v + (1 - decay) |g|^2;  u = g / sqrt(v - |m|^2 + eps), or
    g / (sqrt(v - |m|^2) + eps) if not `eps_in_sqrt`. Rounding never makes v - |m|^2 negative.

    Args:
        decay, eps, initial_scale, eps_in_sqrt, bias_correction, nu_dtype: as in `scale_by_rms`.

    State: `ScaleByRStdDevState(mu, nu)`, or with `bias_correction` the same with `count` first.
    Memory: 2 x the parameters.
    Reference: Graves, 2013, Generating Sequences With Recurrent Neural Networks, arXiv:1308.0850.

    Example:
        >>> tx, p = gc.scale_by_stddev(decay=0.5, eps=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([2.0, 4.0], [0.0, 4.0]):  # by sqrt(v - m^2), 1 and 2 at first
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [2.0, 2.0]
        [0.0, 2.309]
    """

    def init(p: Array) -> _StdDevState:
        mu, nu = zeros_like(p, mu_dtype), full_like(p, initial_scale, nu_dtype)
        if bias_correction:
            return ScaleByRStdDevWithCountState(count=0, mu=mu, nu=nu)
        return ScaleByRStdDevState(mu=mu, nu=nu)

    def update(g: Array, s: _StdDevState, p: Array | None) -> tuple[Array, _StdDevState]:
        mu, nu = ema(g, s.mu, decay), ema(abs_sq(g), s.nu, decay)
        m, v = (debias(x, decay, s.count) for x in (mu, nu)) if bias_correction else (mu, nu)
        variance = jnp.maximum(v - abs_sq(m), 0)
        return divide_by_root(g, variance, eps, eps_in_sqrt), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation
def rmsprop(
    learning_rate: ScalarOrSchedule,
    decay: Numeric = 0.9,
    eps: Numeric = 1e-8,
    initial_scale: Numeric = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Numeric | None = None,
    nesterov: bool = False,
    bias_correction: bool = False,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """RMSprop: v = decay v + (1 - decay) |g|^2;  p = p - learning_rate g / sqrt(v + eps).

    Args:
        decay, eps, initial_scale, eps_in_sqrt, bias_correction: see `scale_by_rms`.
        centered: True divides by the standard deviation, see `scale_by_stddev`.
        mu_dtype, nu_dtype: see `scale_by_stddev`; m exists only if `centered`.
        momentum, nesterov: momentum of the scaled steps, see `trace`; momentum None for none.

    State: a chain's: the rule's, the learning rate's, `TraceState` or `EmptyState`.
    Memory: 1 x the parameters, and 1 each for `centered` and `momentum`.
    Reference: Tieleman and Hinton, 2012, Lecture 6.5; Graves, 2013, arXiv:1308.0850.

    Example:
        >>> tx, p = gc.rmsprop(1.0, decay=0.75, eps=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, -1.0], [0.0, -1.0]):  # 1 / sqrt(1 / 4), then 1 / sqrt(7 / 16)
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-2.0, 2.0]
        [-2.0, 3.512]
    """
    settings = (decay, eps, initial_scale, eps_in_sqrt, bias_correction)
    if centered:
        rule = scale_by_stddev(*settings, mu_dtype=mu_dtype, nu_dtype=nu_dtype)
    else:
        rule = scale_by_rms(*settings, nu_dtype=nu_dtype)
    return chain(
        rule,
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
        identity() if momentum is None else trace(momentum, nesterov),
    )
