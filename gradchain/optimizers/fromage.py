"""Fromage: steps proportional to each array, and no learning rate to tune."""

from collections.abc import Callable

from ..core import chain, transformation
from ..core.types import Numeric, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate, scale_by_trust_ratio


@transformation
def fromage(learning_rate: ScalarOrSchedule, min_norm: Numeric = 1e-6):
    """Fromage: p = (p - learning_rate g |p| / |g|) / sqrt(1 + learning_rate^2), for each array p.

    The division prevents norms from growing, so there is no weight decay.

    Args:
        learning_rate: relative length of a step: a number, an array or a schedule; in the paper 0.01.
        min_norm: lower bound of the norms of p and g, at least 0.

    State: a chain's: `EmptyState`, the learning rate's, the decay's; with a schedule both count steps.
    Memory: none.
    Raises: ValueError if `update` gets no parameters.
    Reference: Bernstein et al., 2020, On the Distance Between Two Neural Networks and the Stability of
        Learning, arXiv:2002.03432.

    Example:
        >>> tx, p = gc.fromage(0.75), jnp.array([3.0, 4.0])
        >>> p, state = tx.step(jnp.array([0.0, 2.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # (p - 0.75 [0, 5]) / 1.25
        [2.4, 0.2]
    """

    def shrinking(rate: Numeric) -> Numeric:
        return 1 / (1 + rate**2) ** 0.5

    def from_rate(f: Callable[[Numeric], Numeric]) -> ScalarOrSchedule:
        rate = learning_rate
        return (lambda count: f(rate(count))) if callable(rate) else f(rate)

    step = from_rate(lambda rate: rate * shrinking(rate))
    decay = from_rate(lambda rate: shrinking(rate) - 1)
    return chain(scale_by_trust_ratio(min_norm), scale_by_learning_rate(step), add_decayed_weights(decay))
