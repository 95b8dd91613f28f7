"""Simplified AdEMAMix: one decaying sum of gradients and the gradient itself."""

from typing import NamedTuple

from ..core import chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, ratio, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class ScaleBySimplifiedAdEMAMixState(NamedTuple):
    """State of `scale_by_simplified_ademamix`."""

    t: Count  # i32[]  steps taken
    m: Params  # like params, or mu_dtype; decaying sum of gradients
    n: Params  # like |params|, at least float32, or nu_dtype; average of squared gradients


@transformation
def scale_by_simplified_ademamix(
    b1: Hyperparameter = 0.99,
    b2: Hyperparameter = 0.95,
    alpha: Hyperparameter = 0.0,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales a decaying sum of gradients plus a multiple of the newest.

    m = b1 m + g;  n = b2 n + (1 - b2) |g|^2;
    u = (m + alpha g) / (sqrt(n / (1 - b2^t) + eps_root) + eps).

    Args:
        b1, b2: decays, in [0, 1): numbers, arrays or schedules. m is a sum, 1 / (1 - b1) times an
            average, so learning rates must be smaller by that factor.
        alpha: weight of the newest gradient, at least 0: a number, an array or a schedule.

    State: `ScaleBySimplifiedAdEMAMixState(t, m, n)`. Memory: 2 x the parameters.
    Reference: Morwani et al., 2025, arXiv:2502.02431.

    Example:
        >>> tx, p = gc.scale_by_simplified_ademamix(b1=0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([2.0, -0.1], [2.0, -0.1]):  # a sum: 1, then 1 + 1/2
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, -1.0]
        [1.5, -1.5]
    """

    def init(p: Array) -> ScaleBySimplifiedAdEMAMixState:
        return ScaleBySimplifiedAdEMAMixState(
            t=0, m=zeros_like(p, mu_dtype), n=accumulator_like(p, nu_dtype)
        )

    def update(
        g: Array, s: ScaleBySimplifiedAdEMAMixState, p: Array | None
    ) -> tuple[Array, ScaleBySimplifiedAdEMAMixState]:
        m, n = g + b1 * s.m, ema(abs_sq(g), s.n, b2)
        return ratio(m + alpha * g, sqrt(debias(n, b2, s.t) + eps_root) + eps), s._replace(m=m, n=n)

    return leafwise(init, update)


@transformation(deferred=True)
def simplified_ademamix(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.99,
    b2: ScalarOrSchedule = 0.95,
    alpha: ScalarOrSchedule = 0.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """Simplified AdEMAMix: p = p - learning_rate ((m + alpha g) / (sqrt(n') + eps) + weight_decay p).

    m is a decaying sum of gradients, n' their debiased mean square.

    Args:
        learning_rate: a number, an array or a schedule; about 1 - b1 times Adam's.
        b1, b2, alpha: see `scale_by_simplified_ademamix`.

    State: a chain's: `ScaleBySimplifiedAdEMAMixState`, the decay's, the learning rate's.
    Memory: 2 x the parameters.
    Reference: Morwani et al., 2025, Connections between Schedule-Free Optimizers, AdEMAMix, and
        Accelerated SGD Variants, arXiv:2502.02431.

    Example:
        >>> tx, p = gc.simplified_ademamix(0.5, b1=0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([2.0, -0.1], [2.0, -0.1]):  # steps of 0.5 and 0.75: momentum is a sum
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.25, 1.25]
    """
    return chain(
        scale_by_simplified_ademamix(b1, b2, alpha, eps, eps_root, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
