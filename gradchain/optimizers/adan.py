"""Adan: adaptive Nesterov momentum."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import FINITE, Array, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, one_minus, sqrt, zeros_like
from ..core.types import AddedNumber, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class ScaleByAdanState(NamedTuple):
    """State of `scale_by_adan`."""

    m: Params  # like params, or mu_dtype; first moment
    v: Params  # like params, or mu_dtype; moving average of the gradient's changes
    n: Params  # like |params|, at least float32, or nu_dtype; second moment of the gradient ahead
    g: Params  # like params; the last gradient
    t: Count  # i32[]  steps taken


@transformation(change_weight=FINITE)
def scale_by_adan(
    b1: Hyperparameter = 0.98,
    b2: Hyperparameter = 0.92,
    b3: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    *,
    change_weight: Hyperparameter = None,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales by averages of the gradient, of its change, and of the square of both together.

    d = g - (the last g), 0 at first;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) d;
    n = b3 n + (1 - b3) |g + w d|^2;  u = (m' + w v') / (sqrt(n' + eps_root) + eps), with m', v' and n'
    debiased. The paper's betas are one minus these.

    Args:
        b1, b2, b3: decay of m, v and n, in [0, 1).
        change_weight: w, the weight of the change; None is 1 - b2, as in Optax. The paper's is b2.
        mu_dtype: dtype of m and v, by default the parameter's.

    State: `ScaleByAdanState(m, v, n, g, t)`. Memory: 4 x the parameters.
    Reference: Xie et al., 2022, arXiv:2208.06677.

    Example:
        >>> tx, p = gc.scale_by_adan(b1=0.0, b2=0.0, b3=0.0, change_weight=1.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([2.0, 1.0], [1.0, 1.0]):  # g + d = 0 in the first entry at last, so no step
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [0.0, 1.0]
    """

    def init(p: Array) -> ScaleByAdanState:
        m, v = zeros_like(p, mu_dtype), zeros_like(p, mu_dtype)
        return ScaleByAdanState(m=m, v=v, n=accumulator_like(p, nu_dtype), g=zeros_like(p), t=0)

    def update(g: Array, s: ScaleByAdanState, p: Array | None) -> tuple[Array, ScaleByAdanState]:
        d = jnp.where(s.t == 1, jnp.zeros_like(g), g - s.g)
        m, v = ema(g, s.m, b1), ema(d, s.v, b2)
        w = one_minus(b2) if change_weight is None else change_weight
        n = ema(abs_sq(g + w * d), s.n, b3)
        ahead = debias(m, b1, s.t) + w * debias(v, b2, s.t)
        return ahead / (sqrt(debias(n, b3, s.t) + eps_root) + eps), s._replace(m=m, v=v, n=n, g=g)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True, change_weight=FINITE)
def adan(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.98,
    b2: ScalarOrSchedule = 0.92,
    b3: ScalarOrSchedule = 0.99,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    *,
    change_weight: AddedNumber | None = None,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """Adan: Nesterov's look ahead from the change between gradients, with Adam's scaling.

    p = p - learning_rate ((m' + w v') / (sqrt(n' + eps_root) + eps) + weight_decay p), see
    `scale_by_adan`. The paper has w = b2, and divides by 1 + learning_rate weight_decay in place of the
    last term.

    Args:
        b1, b2, b3, change_weight, mu_dtype: see `scale_by_adan`.

    State: a chain's: `ScaleByAdanState`, the decay's, the learning rate's. Memory: 4 x the parameters.
    Reference: Xie et al., 2022, Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep
        Models, arXiv:2208.06677.

    Example:
        >>> tx, p = gc.adan(0.5, b1=0.5), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (2.0, 1.0):  # the change, -1, makes the second step shorter
        ...     u, state = tx.update(jnp.array([g]), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [-0.5]
        [-0.416]
    """
    return chain(
        scale_by_adan(
            b1, b2, b3, eps, eps_root, change_weight=change_weight, mu_dtype=mu_dtype, nu_dtype=nu_dtype
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
