"""Yogi: Adam whose second moment falls slowly when gradients become small."""

import jax.numpy as jnp

from ..core import Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, debias, ema, full_like, one_minus, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation
def scale_by_yogi(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-3,
    eps_root: Hyperparameter = 0.0,
    initial_accumulator_value: Numeric = 1e-6,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales as Adam does, with a second moment that changes by at most (1 - b2) |g|^2.

    m = b1 m + (1 - b1) g;  v = v - (1 - b2) sign(v - |g|^2) |g|^2;  u = m' / (sqrt(v' + eps_root) + eps),
    where m' = m / (1 - b1^t), v' = v / (1 - b2^t) and t counts from 1.

    Args:
        initial_accumulator_value: first value of both moments, as in Optax; in the paper only of v.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Zaheer et al., 2018, Adaptive Methods for Nonconvex Optimization, NeurIPS.

    Example:
        >>> tx = gc.scale_by_yogi(b1=0.0, b2=0.5, eps=0.0, initial_accumulator_value=0.0)
        >>> state = tx.init(jnp.zeros(2))
        >>> for g in ([4.0, 1.0], [1.0, 1.0]):  # a small square takes little from v: 8 - 0.5
        ...     u, state = tx.update(jnp.array(g), state)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [0.316, 0.866]
    """

    def init(p: Array) -> ScaleByAdamState:
        mu = zeros_like(p, mu_dtype)
        start = jnp.asarray(initial_accumulator_value).astype(mu.dtype)
        return ScaleByAdamState(
            count=0, mu=mu + start, nu=full_like(p, initial_accumulator_value, nu_dtype)
        )

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        square = abs_sq(g)
        mu, nu = ema(g, s.mu, b1), s.nu - one_minus(b2) * jnp.sign(s.nu - square) * square
        root = sqrt(debias(nu, b2, s.count) + eps_root) + eps
        return debias(mu, b1, s.count) / jnp.where(root > 0, root, 1), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True)
def yogi(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-3,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Yogi: v = v - (1 - b2) sign(v - |g|^2) |g|^2;  p = p - learning_rate m' / (sqrt(v') + eps).

    When gradients become small, Adam's v falls fast and its steps become large. Yogi's v falls slowly. m'
    is Adam's debiased first moment.

    Args:
        learning_rate: a number, an array or a schedule; in the paper 0.01.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the learning rate's. Memory: 2 x the parameters.
    Reference: Zaheer et al., 2018, Adaptive Methods for Nonconvex Optimization, NeurIPS.

    Example:
        >>> tx, p = gc.yogi(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([9.0, -9.0], [9.0, -9.0]):  # steady gradients: about the rate
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 1) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.0, 1.0]
    """
    return chain(
        scale_by_yogi(b1, b2, eps, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
