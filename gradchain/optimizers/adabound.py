"""AdaBound: Adam whose rates move towards one rate for all."""

from typing import Any

import jax.numpy as jnp
from jax.core import Tracer

from ..core import FINITE, NON_NEGATIVE, POSITIVE, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, ema, sqrt, weight_after, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(final_scale=NON_NEGATIVE, gamma=POSITIVE)
def scale_by_adabound(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    final_scale: Hyperparameter = 100.0,
    gamma: Hyperparameter = 1e-3,
    eps: Hyperparameter = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's rule, whose factor for each entry is kept between bounds that close.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g|^2;
    u = clip(sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + eps), low, high) m, with
    low = final_scale (1 - 1 / (gamma t + 1)) and high = final_scale (1 + 1 / (gamma t)).

    At first it is Adam, in the end momentum at final_scale times the learning rate.

    Args:
        final_scale: where the bounds meet, at least 0.
        gamma: how fast they close, more than 0; after 1 / gamma steps they are at 1/2 and 2.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Luo et al., 2019, arXiv:1902.09843.

    Example:
        >>> tx, g = gc.scale_by_adabound(final_scale=0.5, gamma=1e6), jnp.array([4.0, 1.0])
        >>> u, _ = tx.update(g, tx.init(g))
        >>> [round(x, 2) for x in u.tolist()]  # the bounds have closed: final_scale m, m = g / 10
        [0.2, 0.05]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        mu, nu = ema(g, s.mu, b1), ema(abs_sq(g), s.nu, b2)
        corrected = sqrt(weight_after(s.count, b2)) / weight_after(s.count, b1)
        low = final_scale * (1 - 1 / (gamma * s.count + 1))
        high = final_scale * (1 + 1 / (gamma * s.count))
        return jnp.clip(corrected / (sqrt(nu) + eps), low, high) * mu, s._replace(mu=mu, nu=nu)

    return leafwise(init, update)


@transformation(final_lr=FINITE, gamma=POSITIVE)
def adabound(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    final_lr: Numeric = 0.1,
    gamma: ScalarOrSchedule = 1e-3,
    eps: ScalarOrSchedule = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    base_learning_rate: Numeric | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """AdaBound: Adam at first, and in the end momentum with the learning rate `final_lr`.

    Args:
        b1, b2, gamma, eps: see `scale_by_adabound`.
        final_lr: the rate in the end, where the rate is `base_learning_rate`; otherwise in proportion.
        base_learning_rate: by default `learning_rate`, or the first value of a schedule.

    State: a chain's: `ScaleByAdamState`, the learning rate's. Memory: 2 x the parameters.
    Raises: ValueError without `base_learning_rate` for a rate that begins at 0.
    Reference: Luo et al., 2019, Adaptive Gradient Methods with Dynamic Bound of Learning Rate,
        arXiv:1902.09843.

    Example:
        >>> tx, p = gc.adabound(0.5, final_lr=0.25), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, -1.0], [4.0, -1.0]):  # Adam's steps at first, whatever the size of gradients
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.0, 1.0]
    """
    base: Any = learning_rate if base_learning_rate is None else base_learning_rate
    base = base(0) if callable(base) else base
    if not isinstance(base, Tracer) and base == 0:
        raise ValueError(
            "adabound: learning_rate begins at 0: give base_learning_rate, the rate at which final_lr is "
            "meant, such as the schedule's largest."
        )
    return chain(
        scale_by_adabound(b1, b2, final_lr / base, gamma, eps, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
