"""Grams: Adam's magnitude with the gradient's sign."""

import jax.numpy as jnp

from ..core import Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation
def scale_by_grams(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """The gradient's sign, times the size of Adam's step: u = sign(g) |m'| / (sqrt(v') + eps).

    m' and v' are debiased, see `scale_by_adam`. The sign of a complex number is its direction.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Cao, Li and Song, 2024, arXiv:2412.17107.

    Example:
        >>> tx = gc.scale_by_grams(b2=0.5)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (4.0, -1.0):  # where momentum still goes the other way, the sign is the gradient's
        ...     u, state = tx.update(jnp.array([g]), state)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0]
        [-0.559]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        mu, nu = ema(g, s.mu, b1), ema(abs_sq(g), s.nu, b2)
        size = sqrt(abs_sq(debias(mu, b1, s.count))) / (sqrt(debias(nu, b2, s.count)) + eps)
        return jnp.sign(g) * size, s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True)
def grams(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-6,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Grams: p = p - learning_rate (sign(g) |m'| / (sqrt(v') + eps) + weight_decay p).

    Args:
        learning_rate: the authors' default is 1e-3.
        b1, b2, eps: see `scale_by_grams`.

    State: a chain's: `ScaleByAdamState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Cao, Li and Song, 2024, Grams: Gradient Descent with Adaptive Momentum Scaling,
        arXiv:2412.17107.

    Example:
        >>> tx, p = gc.grams(0.5), jnp.array([0.0, 0.0])
        >>> p, state = tx.step(jnp.array([3.0, -0.01]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # at first, as Adam
        [-0.5, 0.5]
    """
    return chain(
        scale_by_grams(b1, b2, eps, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
