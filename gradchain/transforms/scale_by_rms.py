"""RMSprop's rule, shared by rmsprop and schedule_free_adamw."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import Trait, leafwise, transformation
from ..core.numerics import abs_sq, debias, ema, full_like, sqrt
from ..core.types import Array, Count, DTypeLike, Numeric, Params


class ScaleByRmsState(NamedTuple):
    """State of `scale_by_rms`."""

    nu: Params  # like |params|, at least float32, or nu_dtype; moving average of squared gradients


class ScaleByRmsWithCountState(NamedTuple):
    """State of `scale_by_rms` with `bias_correction`."""

    count: Count  # i32[]  steps taken
    nu: Params  # like |params|, at least float32, or nu_dtype; moving average of squared gradients


_RmsState = ScaleByRmsState | ScaleByRmsWithCountState


def divide_by_root(g: Array, variance: Array, eps: Numeric, eps_in_sqrt: bool) -> Array:
    """g / sqrt(variance + eps), or g / (sqrt(variance) + eps); 0 where the divisor is 0."""
    root = sqrt(variance + eps) if eps_in_sqrt else sqrt(variance) + eps
    return jnp.where(root > 0, g / jnp.where(root > 0, root, 1), 0)


@transformation
def scale_by_rms(
    decay: Numeric = 0.9,
    eps: Numeric = 1e-8,
    initial_scale: Numeric = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales by the root of a moving average of squared gradients.

    v = decay v + (1 - decay) |g|^2;  u = g / sqrt(v + eps), or g / (sqrt(v) + eps) if not
    `eps_in_sqrt`; with `bias_correction`, v / (1 - decay^t) takes the place of v.

    Args:
        decay: in [0, 1].
        eps: at least 0.
        initial_scale: first value of v, at least 0.
        eps_in_sqrt: whether eps is added inside the root. PyTorch has False, and decay 0.99.
        bias_correction: True debiases v.

    State: `ScaleByRmsState(nu)`, or `ScaleByRmsWithCountState(count, nu)`.
    Memory: 1 x the parameters.
    Reference: Tieleman and Hinton, 2012, Lecture 6.5, COURSERA: Neural Networks for Machine Learning.

    Example:
        >>> tx, p = gc.scale_by_rms(decay=0.75, eps=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, 1.0], [0.0, 1.0]):
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [2.0, 2.0]
        [0.0, 1.512]
    """

    def init(p: Array) -> _RmsState:
        nu = full_like(p, initial_scale, nu_dtype)
        return ScaleByRmsWithCountState(count=0, nu=nu) if bias_correction else ScaleByRmsState(nu=nu)

    def update(g: Array, s: _RmsState, p: Array | None) -> tuple[Array, _RmsState]:
        nu = ema(abs_sq(g), s.nu, decay)
        nu_hat = debias(nu, decay, s.count) if bias_correction else nu
        return divide_by_root(g, nu_hat, eps, eps_in_sqrt), s._replace(nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])
