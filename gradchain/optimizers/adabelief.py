"""AdaBelief: large steps where the gradient is easy to predict."""

import jax.numpy as jnp

from ..core import Trait, chain, compute_dtype, dtype_of, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByBeliefState, scale_by_learning_rate
from ..transforms.decay import decoupled
from ..transforms.scale_by_adam import debiased_mean


@transformation
def scale_by_belief(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
    eps_root: Hyperparameter = 1e-16,
    *,
    nesterov: bool = False,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales the averaged gradient by the distance of gradients from it.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g - m|^2 + eps_root;  u = m' / (sqrt(v') + eps), where
    m' = m / (1 - b1^t), v' = v / (1 - b2^t) and t counts from 1. With `nesterov`,
    m' = b1 m / (1 - b1^{t+1}) + (1 - b1) g / (1 - b1^t).

    Args:
        eps_root: added to v at every step, at least 0.
        mu_dtype: dtype of m, by default at least float32: bfloat16 is too coarse for g - m.

    State: `ScaleByBeliefState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Zhuang et al., 2020, arXiv:2010.07468.

    Example:
        >>> tx, p = gc.scale_by_belief(b1=0.5, b2=0.5, eps=0.0, eps_root=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 1.0], [1.0, -1.0]):  # |g - m| = 1/2 at first
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [2.0, 2.0]
        [2.828, -0.492]
    """

    def init(p: Array) -> ScaleByBeliefState:
        return ScaleByBeliefState(
            count=0,
            mu=zeros_like(p, mu_dtype or compute_dtype(dtype_of(p))),
            nu=accumulator_like(p, nu_dtype),
        )

    def update(g: Array, s: ScaleByBeliefState, p: Array | None) -> tuple[Array, ScaleByBeliefState]:
        mu = ema(g, s.mu, b1)
        nu = ema(abs_sq(g - mu), s.nu, b2) + eps_root
        m = debiased_mean(g, mu, b1, s.count, nesterov)
        root = sqrt(debias(nu, b2, s.count)) + eps
        return m / jnp.where(root > 0, root, 1), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True)
def adabelief(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    *,
    nesterov: bool = False,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """AdaBelief: Adam with the variance around the averaged gradient in place of the mean square.

    p = p - learning_rate m' / (sqrt(v') + eps), with m' and v' as in `scale_by_belief`.

    Args:
        eps_root, mu_dtype: see `scale_by_belief`.

    State: a chain's: `ScaleByBeliefState(count, mu, nu)`, the learning rate's. Memory: 2 x the parameters.
    Reference: Zhuang et al., 2020, AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed
        Gradients, arXiv:2010.07468.

    Example:
        >>> tx, p = gc.adabelief(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in (1.0, -1.0, 1.0, -1.0):  # the first entry's gradients are steady, and believed
        ...     p, state = tx.step(jnp.array([1.0, g]), state, p)
        >>> bool(abs(p[0]) > 3 * abs(p[1]))
        True
    """
    return chain(
        scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
