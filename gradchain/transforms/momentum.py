"""Memory of past gradients: a decaying sum (momentum) and a moving average."""

from typing import Any, NamedTuple

import jax

from ..core import numerics
from ..core.hyperparameters import FINITE
from ..core.lift import leafwise
from ..core.numerics import zeros_like
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import Hyperparameter, Numeric, Params


class TraceState(NamedTuple):
    """State of `trace`."""

    trace: Params  # like params, or accumulator_dtype; decaying sum of gradients


class EmaState(NamedTuple):
    """State of `ema`."""

    count: jax.Array  # i32[]  steps taken
    ema: Params  # like params, or accumulator_dtype; moving average, not debiased


@transformation(decay=FINITE)
def trace(
    decay: Numeric, nesterov: bool = False, accumulator_dtype: Any = None
) -> GradientTransformationExtraArgs:
    """Momentum: a decaying sum of past gradients.

    t_n = g_n + decay t_{n-1};  u_n = t_n, or g_n + decay t_n with `nesterov`.

    Args:
        decay: how much of the sum stays, usually in [0, 1).
        nesterov: look one step ahead.
        accumulator_dtype: dtype of the sum, by default the parameter's.

    State: `TraceState(trace)`. Memory: 1 x the parameters.
    Reference: Polyak, 1964, Some methods of speeding up the convergence of iteration methods;
        Nesterov, 1983; Sutskever et al., 2013, On the importance of initialization and momentum.
    """

    def init(p: Any) -> tuple[jax.Array]:
        return (zeros_like(p, accumulator_dtype),)

    def update(g: Any, s: TraceState, p: Any) -> tuple[Any, tuple[Any]]:
        del p
        t = g + decay * s.trace
        return (g + decay * t if nesterov else t), (t,)

    return leafwise(TraceState, init, update)


@transformation
def ema(
    decay: Hyperparameter, debias: bool = True, accumulator_dtype: Any = None
) -> GradientTransformationExtraArgs:
    """An exponential moving average of the updates.

    m_n = (1 - decay) g_n + decay m_{n-1};  u_n = m_n / (1 - decay^n), or m_n without `debias`.

    Args:
        decay: in [0, 1].
        debias: divide by the weight the average has so far.
        accumulator_dtype: dtype of the average, by default the parameter's.

    State: `EmaState(count, ema)`. Memory: 1 x the parameters.
    Reference: Kingma and Ba, 2014, Adam, section 3, arXiv:1412.6980 (debiasing).
    """

    def init(p: Any) -> tuple[jax.Array]:
        return (zeros_like(p, accumulator_dtype),)

    def update(g: Any, s: EmaState, p: Any) -> tuple[Any, tuple[Any]]:
        del p
        m = numerics.ema(g, s.ema, decay)
        return (numerics.debias(m, decay, s.count) if debias else m), (m,)

    return leafwise(EmaState, init, update)
