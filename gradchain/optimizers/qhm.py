"""QHM: SGD between its momentum and the present gradient."""

from ..core import CLOSED_UNIT, chain, leafwise, transformation
from ..core.numerics import ema, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import TraceState, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(momentum=CLOSED_UNIT, nu=CLOSED_UNIT)
def scale_by_qhm(momentum: Numeric = 0.999, nu: Numeric = 0.7, accumulator_dtype: DTypeLike | None = None):
    """A mean of the gradient and its average.

    m = momentum m + (1 - momentum) g;  u = nu m + (1 - nu) g. The average has the bias of its start at 0.
    The defaults are those that the authors recommend. nu = momentum is Nesterov momentum.

    Args:
        momentum: decay of the average, in [0, 1].
        nu: weight of the average, in [0, 1].
        accumulator_dtype: dtype of the average, by default the parameter's.

    State: `TraceState(trace)`. Memory: 1 x the parameters.
    Reference: Ma and Yarats, 2018, arXiv:1810.06801.

    Example:
        >>> tx, p = gc.scale_by_qhm(momentum=0.5, nu=0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, 0.0], [0.0, 4.0]):  # 3 / 4 of a gradient now, 1 / 8 in the next update
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print(u.tolist())
        [3.0, 0.0]
        [0.5, 3.0]
    """

    def init(p: Array) -> TraceState:
        return TraceState(trace=zeros_like(p, accumulator_dtype))

    def update(g: Array, s: TraceState, p: Array | None) -> tuple[Array, TraceState]:
        trace = ema(g, s.trace, momentum)
        return ema(g, trace, nu), s._replace(trace=trace)

    return leafwise(init, update)


@transformation(deferred=True, momentum=CLOSED_UNIT, nu=CLOSED_UNIT)
def qhm(
    learning_rate: ScalarOrSchedule,
    momentum: Numeric = 0.999,
    nu: Numeric = 0.7,
    accumulator_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """QHM: m = momentum m + (1 - momentum) g;  p = p - learning_rate (nu m + (1 - nu) g + weight_decay p).

    Args:
        learning_rate: as for SGD; 1 is what the authors recommend to begin with.
        momentum, nu, accumulator_dtype: see `scale_by_qhm`.

    State: a chain's: `TraceState`, the learning rate's. Memory: 1 x the parameters.
    Reference: Ma and Yarats, 2018, Quasi-hyperbolic momentum and Adam for deep learning, arXiv:1810.06801.

    Example:
        >>> tx, p = gc.qhm(1.0, momentum=0.5, nu=0.5), jnp.array([0.0])
        >>> p, _ = tx.step(jnp.array([-4.0]), tx.init(p), p)
        >>> p.tolist()  # (2 + 4) / 2
        [3.0]
    """
    return chain(
        scale_by_qhm(momentum, nu, accumulator_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
