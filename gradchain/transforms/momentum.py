"""Momentum (a decaying sum of gradients) and a moving average of gradients."""

from typing import NamedTuple

from ..core import FINITE, leafwise, numerics, transformation
from ..core.numerics import zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, Numeric, Params


class TraceState(NamedTuple):
    """State of `trace`."""

    trace: Params  # like params, or accumulator_dtype; decaying sum of gradients


class EmaState(NamedTuple):
    """State of `ema`."""

    count: Count  # i32[]  steps taken
    ema: Params  # like params, or accumulator_dtype; moving average, not debiased


@transformation(decay=FINITE)
def trace(decay: Numeric, nesterov: bool = False, accumulator_dtype: DTypeLike | None = None):
    """Momentum: a decaying sum of past gradients.

    t_n = g_n + decay t_{n-1};  u_n = t_n, or g_n + decay t_n with `nesterov`.

    Args:
        decay: factor of the sum at each step, usually in [0, 1).
        nesterov: True for Nesterov momentum.
        accumulator_dtype: dtype of the sum, by default the parameter's.

    State: `TraceState(trace)`. Memory: 1 x the parameters.
    Reference: Polyak, 1964, Some methods of speeding up the convergence of iteration methods;
        Nesterov, 1983; Sutskever et al., 2013, On the importance of initialization and momentum.

    Example:
        >>> tx, p = gc.trace(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 2.0], [1.0, 0.0]):
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print(u.tolist())
        [1.0, 2.0]
        [1.5, 1.0]
    """

    def init(p: Array) -> TraceState:
        return TraceState(trace=zeros_like(p, accumulator_dtype))

    def update(g: Array, s: TraceState, p: Array | None) -> tuple[Array, TraceState]:
        t = g + decay * s.trace
        return (g + decay * t if nesterov else t), s._replace(trace=t)

    return leafwise(init, update)


@transformation
def ema(decay: Hyperparameter, debias: bool = True, accumulator_dtype: DTypeLike | None = None):
    """An exponential moving average of the updates.

    m_n = (1 - decay) g_n + decay m_{n-1};  u_n = m_n / (1 - decay^n), or m_n without `debias`.

    Args:
        decay: in [0, 1].
        debias: True divides by 1 - decay^n, which removes the bias towards 0.
        accumulator_dtype: dtype of the average, by default the parameter's.

    State: `EmaState(count, ema)`. Memory: 1 x the parameters.
    Reference: Kingma and Ba, 2014, Adam, section 3, arXiv:1412.6980 (debiasing).

    Example:
        >>> tx, p = gc.ema(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 4.0], [3.0, 4.0]):  # debiased, the mean of equal values is their value
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 4.0]
        [2.333, 4.0]
    """

    def init(p: Array) -> EmaState:
        return EmaState(count=0, ema=zeros_like(p, accumulator_dtype))

    def update(g: Array, s: EmaState, p: Array | None) -> tuple[Array, EmaState]:
        m = numerics.ema(g, s.ema, decay)
        return (numerics.debias(m, decay, s.count) if debias else m), s._replace(ema=m)

    return leafwise(init, update)
