"""Optimistic gradient descent, for games."""

from ..core import FINITE, chain, transformation
from ..core.types import AddedNumber, MaskOrFn, ScalarOrSchedule
from ..transforms import scale_by_learning_rate, scale_by_optimistic_gradient
from ..transforms.decay import decoupled


@transformation(deferred=True, alpha=FINITE, beta=FINITE)
def optimistic_gradient_descent(
    learning_rate: ScalarOrSchedule,
    alpha: ScalarOrSchedule = 1.0,
    beta: ScalarOrSchedule = 1.0,
    *,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Optimistic gradient descent: p = p - learning_rate (alpha g_t + beta (g_t - g_{t-1})).

    Args:
        alpha, beta: weight of the gradient and of its change, see `scale_by_optimistic_gradient`.

    State: a chain's: `ScaleByOptimisticGradientState(is_initial_step, previous_gradient)`, then the
        learning rate's. Memory: 1 x the parameters.
    Reference: Mokhtari, Ozdaglar and Pattathil, 2019, A Unified Analysis of Extra-gradient and
        Optimistic Gradient Methods for Saddle Point Problems, arXiv:1901.08511.

    Example:
        >>> tx, p = gc.optimistic_gradient_descent(0.5), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -3.0):  # 0.5, then 0.5 (3 + 2)
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist())
        [0.5]
        [3.0]
    """
    return chain(
        scale_by_optimistic_gradient(alpha, beta),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
