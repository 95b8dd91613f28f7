"""Adam's rule, shared by adam, adamw, nadam and others."""

from typing import NamedTuple

from ..core import Trait, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, one_minus, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, Params


class ScaleByAdamState(NamedTuple):
    """State of `scale_by_adam` and `scale_by_adamax`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; first moment
    nu: Params  # like |params|, at least float32, or nu_dtype; second moment


def debiased_mean(g: Array, mu: Array, b1: Hyperparameter, count: Count, nesterov: bool) -> Array:
    """The average `mu`, which includes `g`, without its bias; with `nesterov` one step ahead."""
    if nesterov:
        return b1 * debias(mu, b1, count + 1) + one_minus(b1) * debias(g, b1, count)
    return debias(mu, b1, count)


@transformation
def scale_by_adam(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales by running averages of the gradient and of its square.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g|^2;  u = m' / (sqrt(v' + eps_root) + eps), where
    m' = m / (1 - b1^t), v' = v / (1 - b2^t) and t counts from 1. With `nesterov`,
    m' = b1 m / (1 - b1^{t+1}) + (1 - b1) g / (1 - b1^t).

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Kingma and Ba, 2014, arXiv:1412.6980; Dozat, 2016, Incorporating Nesterov Momentum.

    Example:
        >>> tx, p = gc.scale_by_adam(eps=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, -0.5], [4.0, -0.5]):  # the size of steady gradients does not matter
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, -1.0]
        [1.0, -1.0]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        mu, nu = ema(g, s.mu, b1), ema(abs_sq(g), s.nu, b2)
        m = debiased_mean(g, mu, b1, s.count, nesterov)
        return m / (sqrt(debias(nu, b2, s.count) + eps_root) + eps), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])
