"""LARS: momentum with steps proportional to each array, for large batches."""

from ..core import chain, transformation
from ..core.types import MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import add_decayed_weights, masked, scale_by_learning_rate, scale_by_trust_ratio, trace


@transformation(deferred=True)
def lars(
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = True,
    trust_coefficient: Numeric = 0.001,
    eps: Numeric = 0.0,
    trust_ratio_mask: MaskOrFn = True,
    momentum: Numeric = 0.9,
    nesterov: bool = False,
):
    """LARS: r = g + weight_decay p;  t = momentum t + learning_rate c r |p| / |r|;  p = p - t.

    c is the trust coefficient, the norms are those of each array, see `scale_by_trust_ratio`.

    Args:
        weight_decay, weight_decay_mask: an L2 penalty, added to the gradient before the rule.
        trust_coefficient: c, the relative length of a step at learning rate 1.
        eps: added to |r|, at least 0.
        trust_ratio_mask: where to scale by the ratio: a tree of booleans, or a function from the
            parameters to one; all others use plain momentum.
        momentum, nesterov: see `trace`.

    State: a chain's: the decay's, the ratio's, the learning rate's, `TraceState(trace)`.
    Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: You, Gitman and Ginsburg, 2017, Large Batch Training of Convolutional Networks,
        arXiv:1708.03888.

    Example:
        >>> tx, p = gc.lars(1.0, trust_coefficient=0.5), jnp.array([3.0, 4.0])
        >>> p, state = tx.step(jnp.array([0.0, 9.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # a step of half of |p| = 5
        [3.0, 1.5]
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        masked(scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )
