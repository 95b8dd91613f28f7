"""AdEMAMix: Adam with a second, much slower average of gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.chain import chain
from ..core.numerics import abs_sq, accumulator_like, debias, ema, safe_increment, sqrt, zeros_like
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import MaskOrFn, Params, ScalarOrSchedule
from ..core.whole import at, each_of, ratio, treewise
from ..transforms.decay import add_decayed_weights, one_mask
from ..transforms.scaling import scale_by_learning_rate


class ScaleByAdemamixState(NamedTuple):
    """State of `scale_by_ademamix`."""

    count: jax.Array  # i32[]  steps taken
    count_m2: jax.Array  # i32[]  steps of the slow average, at which b3 and alpha are read
    m1: Params  # like params, or mu_dtype; fast average of gradients
    m2: Params  # like params, or mu_dtype; slow average of gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; average of squared gradients


@transformation
def scale_by_ademamix(
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 6.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: Any = None,
    *,
    nu_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """Rescales a mixture of a fast and a slow average of gradients.

    m_1 = b1 m_1 + (1 - b1) g;  m_2 = b3 m_2 + (1 - b3) g;  v = b2 v + (1 - b2) |g|^2;
    u = (m_1 / (1 - b1^t) + alpha m_2) / (sqrt(v / (1 - b2^t) + eps_root) + eps).

    Args:
        b1, b2, b3: decays, in [0, 1): numbers, arrays or schedules.
        alpha: weight of the slow average: a number, an array or a schedule. The paper raises b3 and
            alpha from b1 and 0 over the run.
        eps: added outside the root, at least 0.
        eps_root: added inside it, at least 0.
        mu_dtype: dtype of both averages, by default the parameter's.
        nu_dtype: dtype of v, by default real and at least float32.

    State: `ScaleByAdemamixState(count, count_m2, m1, m2, nu)`. Memory: 3 x the parameters.
    Reference: Pagliardini, Ablin and Grangier, 2024, The AdEMAMix Optimizer: Better, Faster, Older,
        arXiv:2409.03137.
    """

    def init(params: Params) -> ScaleByAdemamixState:
        def zeros() -> Params:
            return jax.tree.map(lambda p: zeros_like(p, mu_dtype), params)

        nu = jax.tree.map(lambda p: accumulator_like(p, nu_dtype), params)
        return ScaleByAdemamixState(
            jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32), zeros(), zeros(), nu
        )

    def update(g: list[Any], s: ScaleByAdemamixState, p: Any) -> tuple[list[Any], ScaleByAdemamixState]:
        del p
        t = safe_increment(s.count)
        c1, c2, e, er = (at(x, s.count) for x in (b1, b2, eps, eps_root))
        c3, weight = at(b3, s.count_m2), at(alpha, s.count_m2)

        def leaf(g: Any, m1: Any, m2: Any, v: Any) -> tuple[Any, ...]:
            m1, m2, v = ema(g, m1, c1), ema(g, m2, c3), ema(abs_sq(g), v, c2)
            return ratio(debias(m1, c1, t) + weight * m2, sqrt(debias(v, c2, t) + er) + e), m1, m2, v

        u, m1, m2, v = each_of(4, leaf, g, s.m1, s.m2, s.nu)
        return u, ScaleByAdemamixState(t, safe_increment(s.count_m2), m1, m2, v)

    return treewise(ScaleByAdemamixState, ("m1", "m2", "nu"), init, update, needs_params=False)


@transformation
def ademamix(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: Any = None,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    *,
    nu_dtype: Any = None,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """AdEMAMix: p = p - learning_rate ((m_1' + alpha m_2) / (sqrt(v') + eps) + weight_decay p).

    m_1' and v' are Adam's debiased moments, m_2 an average over ten times as many steps.

    Args:
        learning_rate: a number, an array or a schedule.
        b1, b2, b3, alpha, eps, eps_root, mu_dtype, nu_dtype: see `scale_by_ademamix`.
        weight_decay: decoupled weight decay, see `add_decayed_weights`.
        mask, weight_decay_mask: where to decay, two names of one argument.

    State: a chain's: `ScaleByAdemamixState`, the decay's, the learning rate's.
    Memory: 3 x the parameters.
    Reference: Pagliardini, Ablin and Grangier, 2024, The AdEMAMix Optimizer: Better, Faster, Older,
        arXiv:2409.03137.
    """
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, one_mask("ademamix", mask, weight_decay_mask)),
        scale_by_learning_rate(learning_rate),
    )
