"""Gradient descent by signs."""

from ..core import chain, transformation
from ..core.types import AddedNumber, MaskOrFn, ScalarOrSchedule
from ..transforms import scale_by_learning_rate, scale_by_sign
from ..transforms.decay import decoupled


@transformation(deferred=True)
def sign_sgd(
    learning_rate: ScalarOrSchedule, *, weight_decay: AddedNumber = 0.0, weight_decay_mask: MaskOrFn = None
):
    """Gradient descent by signs: p = p - learning_rate sign(g).

    Args:
        learning_rate: the step of every entry: a number, an array or a schedule.

    State: a chain's: `EmptyState`, then the learning rate's. Memory: none.
    Reference: Bernstein et al., 2018, signSGD: Compressed Optimisation for Non-Convex Problems,
        arXiv:1802.04434.

    Example:
        >>> tx, p = gc.sign_sgd(0.25), jnp.array([1.0, 1.0])
        >>> p, state = tx.step(jnp.array([3.0, -0.01]), tx.init(p), p)
        >>> p.tolist()
        [0.75, 1.25]
    """
    return chain(
        scale_by_sign(), *decoupled(weight_decay, weight_decay_mask), scale_by_learning_rate(learning_rate)
    )
