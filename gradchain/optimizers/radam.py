"""RAdam: Adam that waits until its second moment can be trusted."""

import jax.numpy as jnp

from ..core import FINITE, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, one_minus, sqrt, zeros_like
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Numeric,
    ScalarOrSchedule,
)
from ..transforms.decay import decoupled
from ..transforms.scale_by_adam import ScaleByAdamState
from ..transforms.scaling import scale_by_learning_rate


def _memory(z: Array) -> Array:
    """1 + 1 / z - coth(z): of a long memory, the share that z half-lives have not yet filled."""
    few, z_few, z_many = z < 0.1, jnp.minimum(z, 0.1), jnp.maximum(z, 0.1)
    series = 1 - z_few / 3 + z_few**3 / 45 - 2 * z_few**5 / 945 + z_few**7 / 4725
    return jnp.where(few, series, 1 / z_many - 2 / jnp.expm1(2 * z_many))


def _samples(b2: Numeric, t: Count) -> Array:
    """How many samples an average of t steps is worth: ro_inf - 2 t b2^t / (1 - b2^t).

    As written, two numbers near 2 / (1 - b2) cancel, and in float32 one per cent of the first steps'
    size is lost. With b2 = e^{-2 y} both are hyperbolic cotangents, whose poles cancel exactly.
    """
    y = -jnp.log1p(-one_minus(b2)) / 2
    return t * _memory(t * y) + 1 - _memory(y)


@transformation(threshold=FINITE)
def scale_by_radam(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    threshold: Hyperparameter = 5.0,
    *,
    nesterov: bool = False,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales by Adam's moments, times the rectification of the second's variance.

    ro_inf = 2 / (1 - b2) - 1;  ro = ro_inf - 2 t b2^t / (1 - b2^t);
    r^2 = (ro - 4) (ro - 2) ro_inf / ((ro_inf - 4) (ro_inf - 2) ro);
    u = r m' / (sqrt(v' + eps_root) + eps) where ro >= threshold, else u = m'; m' and v' as in
    `scale_by_adam`, t from 1.

    Args:
        threshold: how many samples (ro) the second moment must be worth, at least 4.
        nesterov: Nesterov momentum, as in `scale_by_adam`.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Liu et al., 2019, On the Variance of the Adaptive Learning Rate and Beyond,
        arXiv:1908.03265.
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        mu, nu = ema(g, s.mu, b1), ema(abs_sq(g), s.nu, b2)
        if nesterov:
            m = b1 * debias(mu, b1, s.count + 1) + one_minus(b1) * debias(g, b1, s.count)
        else:
            m = debias(mu, b1, s.count)
        ro_inf = 2 / one_minus(b2) - 1
        ro = _samples(b2, s.count)
        trusted = ro >= threshold
        ro = jnp.where(trusted, ro, 5)  # below 4 the root has no real value
        r = sqrt((ro - 4) * (ro - 2) * ro_inf / ((ro_inf - 4) * (ro_inf - 2) * ro))
        root = sqrt(debias(nu, b2, s.count) + eps_root) + eps
        return jnp.where(trusted, r * m / jnp.where(root > 0, root, 1), m), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(threshold=FINITE)
def radam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    threshold: ScalarOrSchedule = 5.0,
    *,
    nesterov: bool = False,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """RAdam: momentum first, then Adam with a rectified step, so that it needs no warmup.

    p = p - learning_rate r m' / (sqrt(v' + eps_root) + eps), or learning_rate m' in the first steps, see
    `scale_by_radam`.

    Args:
        b1, b2, eps, eps_root, threshold, nesterov, mu_dtype, nu_dtype: see `scale_by_radam`.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, then the learning rate's.
    Memory: 2 x the parameters.
    Reference: Liu et al., 2019, On the Variance of the Adaptive Learning Rate and Beyond,
        arXiv:1908.03265.
    """
    return chain(
        scale_by_radam(
            b1, b2, eps, eps_root, threshold, nesterov=nesterov, mu_dtype=mu_dtype, nu_dtype=nu_dtype
        ),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
