"""ACProp: AdaBelief with the denominator of the step before."""

from typing import Literal

import jax.numpy as jnp

from ..core import Trait, chain, compute_dtype, dtype_of, leafwise, nearest, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, ratio, sqrt, zeros_like
from ..core.types import Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByBeliefState, add_decayed_weights, scale_by_learning_rate

CenteredBy = Literal["old", "new"]
_CENTERS = ("old", "new")


@transformation
def scale_by_acprop(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
    eps_root: Hyperparameter = 1e-16,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    centered_by: CenteredBy = "old",
):
    """Rescales by the error of earlier averages as predictions of earlier gradients.

    m_t = b1 m_{t-1} + (1 - b1) g_t;  s_t = b2 s_{t-1} + (1 - b2) |g_t - m|^2 + eps_root;
    u_t = g_t / (sqrt(s_{t-1} / (1 - b2^{t-1})) + eps), and g_1 / (1 + eps) at the first step.

    Args:
        eps_root: added to s at every step, at least 0.
        mu_dtype: dtype of m, by default at least float32: bfloat16 is too coarse for g - m.
        centered_by: m in s_t is the average before the step, m_{t-1} ("old", as in Optax), or after it,
            m_t ("new", as in the paper). Then s is smaller by b1^2.

    State: `ScaleByBeliefState(count, mu, nu)`. Memory: 2 x the parameters.
    Raises: ValueError for another `centered_by`.
    Reference: Zhuang et al., 2021, arXiv:2110.05454.

    Example:
        >>> tx, p = gc.scale_by_acprop(b1=0.5, b2=0.5, eps_root=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 2.0], [1.0, 1.0]):  # the second by the error of the first
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 2.0]
        [1.0, 0.5]
    """

    if centered_by not in _CENTERS:
        close = nearest(str(centered_by), _CENTERS)
        raise ValueError(
            f"scale_by_acprop: centered_by must be 'old' or 'new', received {centered_by!r}.{close}"
        )

    def init(p: Array) -> ScaleByBeliefState:
        return ScaleByBeliefState(
            count=0,
            mu=zeros_like(p, mu_dtype or compute_dtype(dtype_of(p))),
            nu=accumulator_like(p, nu_dtype),
        )

    def update(g: Array, s: ScaleByBeliefState, p: Array | None) -> tuple[Array, ScaleByBeliefState]:
        mu = ema(g, s.mu, b1)
        nu = ema(abs_sq(g - (mu if centered_by == "new" else s.mu)), s.nu, b2) + eps_root
        before = jnp.where(s.count == 1, 1, debias(s.nu, b2, jnp.maximum(s.count - 1, 1)))
        return ratio(g, sqrt(before) + eps), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation
def acprop(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
    centered_by: CenteredBy = "old",
):
    """ACProp: p = p - learning_rate g_t / sqrt(s_{t-1}), s the gradient's variance around its average.

    Args:
        eps_root, mu_dtype, centered_by: see `scale_by_acprop`.

    State: a chain's: `ScaleByBeliefState`, the decay's, the learning rate's. Memory: 2 x the parameters.
    Reference: Zhuang et al., 2021, Momentum Centering and Asynchronous Update for Adaptive Gradient
        Methods, arXiv:2110.05454.

    Example:
        >>> tx, p = gc.acprop(0.5), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (2.0, 1.0):  # the first as it is; then 0.5 (1 / 2), by the error at the step before
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-1.0]
        [-1.25]
    """
    return chain(
        scale_by_acprop(
            b1, b2, eps, eps_root, mu_dtype=mu_dtype, nu_dtype=nu_dtype, centered_by=centered_by
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
