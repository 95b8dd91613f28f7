"""Backtracking: shorten the step until the loss decreases enough."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    cast,
    compiled,
    dtype_of,
    relaxed_promotion,
    transformation,
)
from ..core.lists import scalar_dtype
from ..core.numerics import zeros_like
from ..core.types import Numeric, Params, Updates
from .line import Line, note, where


class BacktrackingLinesearchInfo(NamedTuple):
    """How a backtracking search went."""

    num_linesearch_steps: Any  # i32[]  evaluations of the value function
    decrease_error: Any  # f32[]  by how much sufficient decrease is missed


class ScaleByBacktrackingLinesearchState(NamedTuple):
    """State of `scale_by_backtracking_linesearch`."""

    learning_rate: Any  # f32[]  the last step's length
    value: Any  # f32[]  the loss where that step ended; inf at first
    grad: Updates | None  # like params, its gradient there, or None
    info: BacktrackingLinesearchInfo


class _Search(NamedTuple):
    learning_rate: Any
    value: Any
    grads: list[Any]
    error: Any
    count: Any


@transformation
def scale_by_backtracking_linesearch(
    max_backtracking_steps: int | jax.Array,
    slope_rtol: Numeric = 1e-4,
    decrease_factor: Numeric = 0.8,
    increase_factor: Numeric = 1.5,
    max_learning_rate: Numeric = 1.0,
    atol: Numeric = 0.0,
    rtol: Numeric = 0.0,
    store_grad: bool = False,
    verbose: bool = False,
) -> GradientTransformationExtraArgs:
    """Scales a descent direction u by the first length t that decreases the loss enough (Armijo).

    t = decrease_factor^k min(increase_factor t_before, max_learning_rate), with the least k for which
    f(p + t u) <= (1 + rtol) f(p) + slope_rtol t <u, grad f(p)> + atol.

    `update` needs `value`, `grad` and `value_fn`, the loss as a function of all parameters; other
    extra arguments that `value_fn` names are passed on to it.

    Args:
        max_backtracking_steps: the largest k.
        slope_rtol: the part of the slope's promise to be kept, in (0, 1).
        decrease_factor: in (0, 1); increase_factor: more than 1 lets the length recover.
        max_learning_rate: the longest first trial.
        atol, rtol: how much increase to tolerate.
        store_grad: keep the gradient where the search ends, for `value_and_grad_from_state`.
        verbose: print where a search fails.

    State: `ScaleByBacktrackingLinesearchState(learning_rate, value, grad, info)`; scalars are at least
        float32. If all trials are NaN or infinite the step is 0 and the next search begins anew.
    Memory: 1 x the parameters with store_grad, else none.
    Raises: TypeError if `update` lacks one of the three; ValueError if it gets no parameters.
    Reference: Nocedal and Wright, 2006, Numerical Optimization, algorithm 3.1.
    """

    def init(params: Params) -> ScaleByBacktrackingLinesearchState:
        dtype = scalar_dtype(params)
        one = jnp.ones((), dtype)
        value, error = jnp.full((), jnp.inf, dtype), jnp.full((), jnp.inf, dtype)  # may be donated apart
        grad = jax.tree.map(zeros_like, params) if store_grad else None
        info = BacktrackingLinesearchInfo(jnp.zeros((), jnp.int32), error)
        return ScaleByBacktrackingLinesearchState(one, value, grad, info)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ScaleByBacktrackingLinesearchState]:
        with relaxed_promotion():
            line = Line("scale_by_backtracking_linesearch", updates, params, extra_args)
            end = search(line, state.learning_rate)
            stuck = jnp.isinf(end.error)
            if verbose:
                _report(line, end, atol)
            t = jnp.where(stuck, jnp.zeros_like(end.learning_rate), end.learning_rate)
            grad = None
            if store_grad:
                grad = line.put(where(stuck, line.grads, end.grads), state.grad)
            # Where nothing moved, the value here is still the one given.
            value = jnp.where(stuck, line.value, end.value)
            new = ScaleByBacktrackingLinesearchState(
                t, value, grad, BacktrackingLinesearchInfo(end.count, end.error)
            )
            new = jax.tree.map(lambda x, like: cast(x, dtype_of(like)), new, state)
            return line.step(t), new

    def search(line: Line, before: Any) -> _Search:
        def trial(s: _Search) -> _Search:
            t = jnp.where(s.count > 0, decrease_factor * s.learning_rate, s.learning_rate)
            grads = s.grads
            if store_grad:
                value, gradients = line.pullback_at(t)
                error = missing(line, t, value)
                last = (error <= atol) | (s.count == max_backtracking_steps)
                grads = jax.lax.cond(last, gradients, lambda: s.grads)
            else:
                value = line.value_at(t)
                error = missing(line, t, value)
            return _Search(line.scalar(t), value, grads, line.scalar(error), s.count + 1)

        before = jnp.where(before > 0, before, 1.0)  # after a step of 0, begin anew
        first = _Search(
            line.scalar(jnp.minimum(increase_factor * before, max_learning_rate)),
            line.value,
            [jnp.zeros_like(g) for g in line.grads] if store_grad else [],
            line.scalar(jnp.inf),
            jnp.zeros((), jnp.int32),
        )
        wanted = lambda s: ~(s.error <= atol) & (s.count <= max_backtracking_steps)  # noqa: E731
        return jax.lax.while_loop(wanted, trial, first)

    def missing(line: Line, t: Any, value: Any) -> Any:
        error = value - (1 + rtol) * line.value - t * slope_rtol * line.slope
        return jnp.maximum(jnp.where(jnp.isnan(error), jnp.inf, error), 0)

    return GradientTransformationExtraArgs(init, compiled(update))


def _report(line: Line, end: _Search, atol: Any) -> None:
    note(
        end.error > atol,
        "scale_by_backtracking_linesearch: no step decreases the loss enough: value {value}, "
        "slope {slope}, last length {t}, decrease missed by {error}; infinite: the step is 0.",
        value=line.value,
        slope=line.slope,
        t=end.learning_rate,
        error=end.error,
    )
