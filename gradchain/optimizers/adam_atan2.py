"""Adam-atan2: Adam without eps."""

import jax.numpy as jnp

from ..core import FINITE, POSITIVE, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, ratio, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(a=FINITE, b=POSITIVE)
def scale_by_adam_atan2(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.99,
    a: Hyperparameter = 1.27,
    b: Hyperparameter = 1.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's rule with atan2 for the division: u = a atan2(m', b sqrt(v')).

    m' and v' are debiased, see `scale_by_adam`. There is no eps: gradients c times as large give the same
    steps. Where both averages are 0, so is u. A complex number keeps its direction, and its size is
    a atan2(|m'|, b sqrt(v')).

    Args:
        a: times the steps: 4 / pi = 1.27 makes those of equal m' and sqrt(v') as long as Adam's.
        b: the size of m' / sqrt(v') from which on steps grow less than in proportion.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Everett et al., 2024, arXiv:2407.05872.

    Example:
        >>> tx, p = gc.scale_by_adam_atan2(), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, 0.0], [3.0, 0.0]):  # 1.27 pi / 4, and 0 where all is 0
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.997, 0.0]
        [0.997, 0.0]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        mu, nu = ema(g, s.mu, b1), ema(abs_sq(g), s.nu, b2)
        m, root = debias(mu, b1, s.count), b * sqrt(debias(nu, b2, s.count))
        return a * _angle(m, root), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


def _angle(m: Array, root: Array) -> Array:
    """atan2(m, root), with derivative 0 where both are 0."""
    zero = (m == 0) & (root == 0)
    size = jnp.abs(m) if jnp.iscomplexobj(m) else m
    angle = jnp.where(zero, 0, jnp.arctan2(size, jnp.where(zero, 1, root)))
    return ratio(m, jnp.abs(m)) * angle if jnp.iscomplexobj(m) else angle


@transformation(deferred=True, a=FINITE, b=POSITIVE)
def adam_atan2(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.99,
    a: ScalarOrSchedule = 1.27,
    b: ScalarOrSchedule = 1.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam-atan2: p = p - learning_rate (a atan2(m', b sqrt(v')) + weight_decay p).

    Args:
        learning_rate: 1e-4 is usual.
        b1, b2, a, b: see `scale_by_adam_atan2`.

    State: a chain's: `ScaleByAdamState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Everett et al., 2024, Scaling Exponents Across Parameterizations and Optimizers,
        arXiv:2407.05872.

    Example:
        >>> tx, p = gc.adam_atan2(0.5), jnp.array([0.0, 0.0])
        >>> p, state = tx.step(jnp.array([3.0, -0.01]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # 1.27 atan2(1, 1) is about 1
        [-0.499, 0.499]
    """
    return chain(
        scale_by_adam_atan2(b1, b2, a, b, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
