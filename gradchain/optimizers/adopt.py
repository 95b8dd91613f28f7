"""ADOPT: Adam with the second moment of the steps before."""

import jax.numpy as jnp

from ..core import Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, ema, ratio, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule, Schedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled


def fourth_root(count: Array) -> Array:
    """The paper's bound on normalized gradients: count^(1/4)."""
    return count**0.25


def _clip(x: Array, bound: Array) -> Array:
    if not jnp.iscomplexobj(x):
        return jnp.clip(x, -bound, bound)
    size = jnp.abs(x)
    return x * jnp.where(size > bound, ratio(bound, size), 1)


@transformation
def scale_by_adopt(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.9999,
    eps: Hyperparameter = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Schedule = fourth_root,
    nu_dtype: DTypeLike | None = None,
):
    """Averages gradients, each divided by the root mean square of the gradients before it.

    n_t = clip(g_t / max(sqrt(v_{t-1}), eps), +-clip_value_fn(t));  m_t = b1 m_{t-1} + (1 - b1) n_t;
    v_t = b2 v_{t-1} + (1 - b2) |g_t|^2;  u_t = m_t, t from 0. The first step only sets v_0 = |g_0|^2.

    Args:
        eps: the smallest denominator, at least 0.
        nesterov: Nesterov momentum: u_t = b1 m_t + (1 - b1) n_t.
        use_clipping: False does not clip n_t. Complex numbers are clipped in absolute value.
        clip_value_fn: the bound as a function of the steps taken.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Taniguchi et al., 2024, arXiv:2411.02853.

    Example:
        >>> tx, p = gc.scale_by_adopt(b1=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([2.0, 4.0], [1.0, -4.0]):  # each by the root of v before it
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.0, 0.0]
        [0.5, -1.0]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        started = s.count > 1
        n = ratio(g, jnp.maximum(sqrt(s.nu), eps))
        if use_clipping:
            n = _clip(n, clip_value_fn(s.count - 1))
        mu = jnp.where(started, ema(n, s.mu, b1), s.mu)
        nu = jnp.where(started, ema(abs_sq(g), s.nu, b2), abs_sq(g))
        return (jnp.where(started, ema(n, mu, b1), mu) if nesterov else mu), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True)
def adopt(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.9999,
    eps: ScalarOrSchedule = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Schedule = fourth_root,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """ADOPT: p = p - learning_rate m, m the average of g_t / max(sqrt(v_{t-1}), eps).

    Unlike Adam, it converges for every b2.

    Args:
        eps, nesterov, use_clipping, clip_value_fn: see `scale_by_adopt`.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the learning rate's. Memory: 2 x the parameters.
    Reference: Taniguchi et al., 2024, ADOPT: Modified Adam Can Converge with Any beta_2 with the
        Optimal Rate, arXiv:2411.02853.

    Example:
        >>> tx, p = gc.adopt(0.5, b1=0.0), jnp.array([1.0])
        >>> state = tx.init(p)
        >>> for g in (2.0, 1.0):  # the first gradient only sets v; then 0.5 (1 / 2)
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [1.0]
        [0.75]
    """
    return chain(
        scale_by_adopt(
            b1,
            b2,
            eps,
            mu_dtype,
            nesterov=nesterov,
            use_clipping=use_clipping,
            clip_value_fn=clip_value_fn,
            nu_dtype=nu_dtype,
        ),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
