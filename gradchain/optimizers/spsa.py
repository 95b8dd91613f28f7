"""SPSA: optimization from values of the loss alone."""

from collections.abc import Callable
from typing import Any

from ..core import FINITE, NON_NEGATIVE, POSITIVE, chain, transformation
from ..core.types import AddedNumber, Array, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import scale_by_learning_rate, scale_by_spsa
from ..transforms.decay import decoupled


@transformation(c=POSITIVE, stability=NON_NEGATIVE, alpha=FINITE, gamma=FINITE)
def spsa(
    learning_rate: ScalarOrSchedule,
    c: ScalarOrSchedule = 0.1,
    stability: Numeric = 0.0,
    alpha: Numeric = 0.602,
    gamma: Numeric = 0.101,
    samples: int = 1,
    key: int | Array = 0,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """SPSA: p = p - a_k (u + weight_decay p), with u the slope along random signs, see `scale_by_spsa`.

    a_k = learning_rate / (stability + k)^alpha and c_k = c / k^gamma, with k from 1. `update` needs the
    extra argument `value_fn`, the loss as a function of the parameters, and reads no gradients: give the
    parameters in their place, `tx.step(params, state, params, value_fn=loss)`.

    Args:
        learning_rate: a, before it falls; a number, an array or a schedule, which falls too.
        c: how far to look: about the standard deviation of the loss's noise.
        stability: Spall's A; a tenth of the steps to be taken is usual.
        alpha: how fast the rate falls; 0 for a constant one.
        gamma: how fast c falls.
        samples, key: see `scale_by_spsa`.

    State: a chain's: `ScaleBySpsaState`, the learning rate's. Memory: none.
    Raises: what `scale_by_spsa` raises.
    Reference: Spall, 1992, Multivariate Stochastic Approximation Using a Simultaneous Perturbation Gradient
        Approximation; Spall, 1998, Implementation of the Simultaneous Perturbation Algorithm for Stochastic
        Optimization.

    Example:
        >>> tx, p = gc.spsa(0.25), jnp.array([3.0])
        >>> p, _ = tx.step(p, tx.init(p), p, value_fn=lambda p: jnp.sum(p**2))
        >>> [round(x, 2) for x in p.tolist()]  # of one entry, exact: 3 - 0.25 (2 * 3)
        [1.5]
    """
    return chain(
        scale_by_spsa(_falling(c, 1.0, gamma), "rademacher", samples, key),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(_falling(learning_rate, 1.0 + stability, alpha)),
    )


def _falling(x: ScalarOrSchedule, start: Numeric, power: Numeric) -> Callable[[Any], Any]:
    """The schedule of a gain: x / (start + steps taken)^power."""
    return lambda count: (x(count) if callable(x) else x) / (start + count) ** power
