"""Stochastic gradient descent, with momentum and Nesterov's momentum."""

from ..core import chain, identity, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import scale_by_learning_rate, trace
from ..transforms.decay import decoupled


@transformation(deferred=True)
def sgd(
    learning_rate: ScalarOrSchedule,
    momentum: Numeric | None = None,
    nesterov: bool = False,
    accumulator_dtype: DTypeLike | None = None,
    *,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Gradient descent: p = p - learning_rate g, or along a decaying sum of gradients.

    With momentum, t = g + momentum t and p = p - learning_rate t; with `nesterov`,
    p = p - learning_rate (g + momentum t).

    Args:
        momentum: decay of the sum, usually in [0, 1); None for no sum.
        nesterov: True for Nesterov momentum (needs `momentum`).
        accumulator_dtype: dtype of the sum, by default the parameter's.

    State: a chain's: `TraceState(trace)` (empty without momentum), then the learning rate's.
    Memory: 1 x the parameters with momentum, else nothing.
    Reference: Robbins and Monro, 1951; Polyak, 1964; Nesterov, 1983; Sutskever et al., 2013, On the
        importance of initialization and momentum in deep learning.

    Example:
        >>> tx, p = gc.sgd(0.5), jnp.array([1.0, 1.0])
        >>> p, state = tx.step(jnp.array([1.0, -2.0]), tx.init(p), p)
        >>> p.tolist()
        [0.5, 2.0]
    """
    return chain(
        identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
