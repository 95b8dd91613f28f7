"""AdaMax's rule: Adam's, with the largest gradient in place of the mean square."""

import jax.numpy as jnp

from ..core import Trait, leafwise, transformation
from ..core.numerics import accumulator_like, debias, ema, zeros_like
from ..core.types import Array, DTypeLike, Hyperparameter
from .scale_by_adam import ScaleByAdamState


@transformation
def scale_by_adamax(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales by the gradient's decayed largest absolute value.

    m = b1 m + (1 - b1) g;  v = max(|g| + eps, b2 v);  u = m / (1 - b1^t) / v.

    Args:
        eps: added to |g|, at least 0.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Kingma and Ba, 2014, section 7.1, arXiv:1412.6980.

    Example:
        >>> tx = gc.scale_by_adamax(b1=0.0, b2=0.5, eps=0.0)
        >>> state = tx.init(jnp.zeros(2))
        >>> for g in ([4.0, 1.0], [1.0, 1.0]):  # v = 4, then 4 / 2
        ...     u, state = tx.update(jnp.array(g), state)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [0.5, 1.0]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        mu, nu = ema(g, s.mu, b1), jnp.maximum(jnp.abs(g) + eps, b2 * s.nu)
        return debias(mu, b1, s.count) / nu, s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])
