"""RAdam's rule: Adam's moments, the second one only after enough steps."""

import jax.numpy as jnp

from ..core import FINITE, Trait, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, one_minus, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter
from .scale_by_adam import ScaleByAdamState, debiased_mean


def _one_minus_langevin(z: Array) -> Array:
    """1 + 1 / z - coth(z), without cancellation at small z."""
    few, z_few, z_many = z < 0.1, jnp.minimum(z, 0.1), jnp.maximum(z, 0.1)
    series = 1 - z_few / 3 + z_few**3 / 45 - 2 * z_few**5 / 945 + z_few**7 / 4725
    return jnp.where(few, series, 1 / z_many - 2 / jnp.expm1(2 * z_many))


def _samples(b2: Hyperparameter, t: Count) -> Array:
    """The effective number of samples in an average of t steps: ro_inf - 2 t b2^t / (1 - b2^t).

    In this form two numbers near 2 / (1 - b2) cancel: in float32 the first steps have an error of one
    per cent. With b2 = e^{-2 y} both become hyperbolic cotangents, and their poles cancel exactly.
    """
    y = -jnp.log1p(-one_minus(b2)) / 2
    return t * _one_minus_langevin(t * y) + 1 - _one_minus_langevin(y)


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
        threshold: the smallest ro at which the second moment is used, at least 4.
        nesterov: Nesterov momentum, as in `scale_by_adam`.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Liu et al., 2019, arXiv:1908.03265.

    Example:
        >>> tx, p = gc.scale_by_radam(), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, -0.5], [4.0, -0.5]):  # the first steps are momentum's
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [4.0, -0.5]
        [4.0, -0.5]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        mu, nu = ema(g, s.mu, b1), ema(abs_sq(g), s.nu, b2)
        m = debiased_mean(g, mu, b1, s.count, nesterov)
        ro_inf = 2 / one_minus(b2) - 1
        ro = _samples(b2, s.count)
        trusted = ro >= threshold
        ro = jnp.where(trusted, ro, 5)  # below 4 the root has no real value
        r = sqrt((ro - 4) * (ro - 2) * ro_inf / ((ro_inf - 4) * (ro_inf - 2) * ro))
        root = sqrt(debias(nu, b2, s.count) + eps_root) + eps
        return jnp.where(trusted, r * m / jnp.where(root > 0, root, 1), m), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])
