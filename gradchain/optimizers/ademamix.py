"""AdEMAMix: Adam with a second, much slower average of gradients."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import chain, transformation, treewise
from ..core.lists import each_of
from ..core.numerics import abs_sq, accumulator_like, debias, ema, ratio, safe_increment, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class ScaleByAdemamixState(NamedTuple):
    """State of `scale_by_ademamix`."""

    count: Count  # i32[]  steps taken
    count_m2: Array  # i32[]  steps of the slow average, at which b3 and alpha are read
    m1: Params  # like params, or mu_dtype; fast average of gradients
    m2: Params  # like params, or mu_dtype; slow average of gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; average of squared gradients


@transformation
def scale_by_ademamix(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    b3: Hyperparameter = 0.9999,
    alpha: Hyperparameter = 6.0,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales a mixture of a fast and a slow average of gradients.

    m_1 = b1 m_1 + (1 - b1) g;  m_2 = b3 m_2 + (1 - b3) g;  v = b2 v + (1 - b2) |g|^2;
    u = (m_1 / (1 - b1^t) + alpha m_2) / (sqrt(v / (1 - b2^t) + eps_root) + eps).

    Args:
        b1, b2, b3: decays, in [0, 1): numbers, arrays or schedules.
        alpha: weight of the slow average: a number, an array or a schedule. The paper raises b3 and
            alpha from b1 and 0 over the run.
        mu_dtype: dtype of both averages, by default the parameter's.

    State: `ScaleByAdemamixState(count, count_m2, m1, m2, nu)`. Memory: 3 x the parameters.
    Reference: Pagliardini, Ablin and Grangier, 2024, arXiv:2409.03137.

    Example:
        >>> tx, p = gc.scale_by_ademamix(b3=0.5, alpha=1.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([2.0, 0.5], [2.0, 0.5]):  # 1 + 1/2, then 1 + 3/4
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.5, 1.5]
        [1.75, 1.75]
    """

    def init(ps: list[Array]) -> ScaleByAdemamixState:
        return ScaleByAdemamixState(
            count=0,
            count_m2=jnp.zeros([], jnp.int32),
            m1=[zeros_like(p, mu_dtype) for p in ps],
            m2=[zeros_like(p, mu_dtype) for p in ps],
            nu=[accumulator_like(p, nu_dtype) for p in ps],
        )

    def update(
        g: list[Array], s: ScaleByAdemamixState, p: list[Array]
    ) -> tuple[list[Array], ScaleByAdemamixState]:
        def leaf(g: Array, m1: Array, m2: Array, v: Array) -> tuple[Array, ...]:
            m1, m2, v = ema(g, m1, b1), ema(g, m2, b3), ema(abs_sq(g), v, b2)
            root = sqrt(debias(v, b2, s.count) + eps_root)
            return ratio(debias(m1, b1, s.count) + alpha * m2, root + eps), m1, m2, v

        u, m1, m2, v = each_of(4, leaf, g, s.m1, s.m2, s.nu)
        return u, s._replace(count_m2=safe_increment(s.count_m2), m1=m1, m2=m2, nu=v)

    return treewise(init, update, needs_params=False)


@transformation(deferred=True)
def ademamix(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """AdEMAMix: p = p - learning_rate ((m_1' + alpha m_2) / (sqrt(v') + eps) + weight_decay p).

    m_1' and v' are Adam's debiased moments, m_2 an average over ten times as many steps.

    Args:
        b1, b2, b3, alpha, mu_dtype: see `scale_by_ademamix`.

    State: a chain's: `ScaleByAdemamixState`, the decay's, the learning rate's. Memory: 3 x the parameters.
    Reference: Pagliardini, Ablin and Grangier, 2024, The AdEMAMix Optimizer: Better, Faster, Older,
        arXiv:2409.03137.

    Example:
        >>> tx, p = gc.ademamix(0.5, b3=0.9, alpha=1.0), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (2.0, 2.0):  # 1 + 0.1, then 1 + 0.19: the slow average grows
        ...     u, state = tx.update(jnp.array([g]), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [-0.55]
        [-0.595]
    """
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
