"""Optimistic Adam, for games."""

from ..core import FINITE, chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import scale_by_adam, scale_by_learning_rate, scale_by_optimistic_gradient
from ..transforms.decay import decoupled


@transformation(deferred=True, alpha=FINITE, beta=FINITE)
def optimistic_adam_v2(
    learning_rate: ScalarOrSchedule,
    *,
    alpha: Numeric = 1.0,
    beta: Numeric = 1.0,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    nesterov: bool = True,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Optimistic Adam: p = p - learning_rate (alpha a_t + beta (a_t - a_{t-1})), with a_t Adam's step.

    Args:
        alpha, beta: weight of the step and of its change, see `scale_by_optimistic_gradient`.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`,
        `ScaleByOptimisticGradientState(is_initial_step, previous_gradient)`, the learning rate's.
    Memory: 3 x the parameters.
    Reference: Daskalakis et al., 2017, Training GANs with Optimism, arXiv:1711.00141.

    Example:
        >>> tx, p = gc.optimistic_adam_v2(0.5, nesterov=False), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # Adam's steps are 1: 0.5 (1 + 1), then 0.5 (1 + 0)
        ...     p, state = tx.step(jnp.array([-3.0]), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [0.5]
        [1.0]
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov, nu_dtype=nu_dtype),
        scale_by_optimistic_gradient(alpha, beta),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
