"""Optimistic gradient descent, for games."""

from ..core import (
    FINITE,
    ExtraScalarOrSchedule,
    GradientTransformationExtraArgs,
    MaskOrFn,
    ScalarOrSchedule,
    chain,
    transformation,
)
from ..transforms.decay import decoupled
from ..transforms.optimistic import scale_by_optimistic_gradient
from ..transforms.scaling import scale_by_learning_rate


@transformation(alpha=FINITE, beta=FINITE)
def optimistic_gradient_descent(
    learning_rate: ScalarOrSchedule,
    alpha: ScalarOrSchedule = 1.0,
    beta: ScalarOrSchedule = 1.0,
    *,
    weight_decay: ExtraScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Optimistic gradient descent: p = p - learning_rate (alpha g_t + beta (g_t - g_{t-1})).

    Args:
        learning_rate: a number, an array or a schedule.
        alpha, beta: weight of the gradient and of its change, see `scale_by_optimistic_gradient`.
        weight_decay, weight_decay_mask: decoupled weight decay, see `add_decayed_weights`.

    State: a chain's: `ScaleByOptimisticGradientState(is_initial_step, previous_gradient)`, then the
        learning rate's.
    Memory: 1 x the parameters.
    Reference: Mokhtari, Ozdaglar and Pattathil, 2019, A Unified Analysis of Extra-gradient and
        Optimistic Gradient Methods for Saddle Point Problems, arXiv:1901.08511.
    """
    return chain(
        scale_by_optimistic_gradient(alpha, beta),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
