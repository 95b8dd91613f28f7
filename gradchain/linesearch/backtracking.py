"""Backtracking: shorten the step until the loss decreases enough."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import GradientTransformationExtraArgs, compiled, relaxed_promotion, transformation
from ..core.lists import scalar_dtype
from ..core.numerics import zeros_like
from ..core.types import Numeric, Params, Updates
from ..tree import cast_like, where
from .line import Line, print_where

NAME = "scale_by_backtracking_linesearch"


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


@transformation
def scale_by_backtracking_linesearch(
    max_backtracking_steps: Numeric,
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

    `update` needs `value`, `grad` and `value_fn`, the loss as a function of all parameters. Other
    extra arguments that `value_fn` names are passed on to it.

    Args:
        max_backtracking_steps: the largest k.
        slope_rtol: how much of the decrease that the slope promises must be kept, in (0, 1).
        decrease_factor: what t is multiplied by from trial to trial, in (0, 1).
        increase_factor: above 1 the length can grow again from step to step.
        max_learning_rate: the largest first t.
        atol, rtol: how much increase to tolerate.
        store_grad: keep the gradient where the search ends, for `value_and_grad_from_state`.
        verbose: print where a search fails.

    State: `ScaleByBacktrackingLinesearchState(learning_rate, value, grad, info)`; scalars are at least
        float32. If all trials are NaN or infinite the step is 0 and the next search begins anew.
    Memory: 1 x the parameters with store_grad, else none.
    Raises: TypeError if `update` lacks one of the three; ValueError if it gets no parameters.
    Reference: Nocedal and Wright, 2006, Numerical Optimization, algorithm 3.1.

    Example:
        >>> loss = lambda p: jnp.sum(p**2)
        >>> tx, p = gc.scale_by_backtracking_linesearch(10, decrease_factor=0.5), jnp.array([1.0])
        >>> u, state = tx.update(-2 * p, tx.init(p), p, value=loss(p), grad=2 * p, value_fn=loss)
        >>> u.tolist(), float(state.learning_rate)  # the whole step would not decrease the loss; half does
        ([-1.0], 0.5)
    """
    settings = _Settings(
        max_backtracking_steps,
        slope_rtol,
        decrease_factor,
        increase_factor,
        max_learning_rate,
        atol,
        rtol,
        store_grad,
    )

    def init(params: Params) -> ScaleByBacktrackingLinesearchState:
        dtype = scalar_dtype(params)
        one = jnp.ones((), dtype)
        # Two arrays of their own: a state that holds one array twice cannot be donated.
        value, error = jnp.full((), jnp.inf, dtype), jnp.full((), jnp.inf, dtype)
        grad = jax.tree.map(zeros_like, params) if store_grad else None
        info = BacktrackingLinesearchInfo(jnp.zeros((), jnp.int32), error)
        return ScaleByBacktrackingLinesearchState(one, value, grad, info)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ScaleByBacktrackingLinesearchState]:
        with relaxed_promotion():
            line = Line(NAME, updates, params, extra_args)
            end = _search(line, settings, state.learning_rate)
            if verbose:
                _report_failure(line, settings, end)
            # Without one finite trial nothing moves: value and gradient are still those given.
            stuck = jnp.isinf(end.error)
            t = jnp.where(stuck, jnp.zeros_like(end.t), end.t)
            value = jnp.where(stuck, line.value, end.value)
            grad = None
            if store_grad:
                grad = line.put(where(stuck, line.grads, end.grads), state.grad)
            info = BacktrackingLinesearchInfo(end.count, end.error)
            new = ScaleByBacktrackingLinesearchState(t, value, grad, info)
            return line.step(t), cast_like(new, state)

    return GradientTransformationExtraArgs(init, compiled(update))


class _Settings(NamedTuple):
    """The arguments of `scale_by_backtracking_linesearch` that the search reads."""

    max_backtracking_steps: Any
    slope_rtol: Any
    decrease_factor: Any
    increase_factor: Any
    max_learning_rate: Any
    atol: Any
    rtol: Any
    store_grad: bool


class _Search(NamedTuple):
    """What is known after some trials."""

    t: Any  # f32[]  the length tried last; before any trial, the one to try first
    value: Any  # f32[]  the loss there
    grads: list[Any]  # its gradients, computed only after the last trial; empty unless they are stored
    error: Any  # f32[]  by how much that trial misses sufficient decrease
    count: Any  # i32[]  trials made


def _search(line: Line, settings: _Settings, last_length: Any) -> _Search:
    """Tries shorter and shorter lengths until the loss decreases enough, or no trial is left."""
    last_length = jnp.where(last_length > 0, last_length, 1.0)  # after a step of 0, begin anew
    before_any_trial = _Search(
        line.scalar(jnp.minimum(settings.increase_factor * last_length, settings.max_learning_rate)),
        line.value,
        [jnp.zeros_like(g) for g in line.grads] if settings.store_grad else [],
        line.scalar(jnp.inf),
        jnp.zeros((), jnp.int32),
    )
    return jax.lax.while_loop(
        lambda s: ~(s.error <= settings.atol) & (s.count <= settings.max_backtracking_steps),
        lambda s: _after_one_more_trial(line, settings, s),
        before_any_trial,
    )


def _after_one_more_trial(line: Line, settings: _Settings, s: _Search) -> _Search:
    t = jnp.where(s.count > 0, settings.decrease_factor * s.t, s.t)
    grads = s.grads
    if settings.store_grad:
        value, gradients = line.pullback_at(t)
        error = _decrease_error(line, settings, t, value)
        is_last = (error <= settings.atol) | (s.count == settings.max_backtracking_steps)
        grads = jax.lax.cond(is_last, gradients, lambda: s.grads)
    else:
        value = line.value_at(t)
        error = _decrease_error(line, settings, t, value)
    return _Search(line.scalar(t), value, grads, line.scalar(error), s.count + 1)


def _decrease_error(line: Line, settings: _Settings, t: Any, value: Any) -> Any:
    """By how much a trial misses sufficient decrease; infinite where its loss is NaN."""
    error = value - (1 + settings.rtol) * line.value - t * settings.slope_rtol * line.slope
    return jnp.maximum(jnp.where(jnp.isnan(error), jnp.inf, error), 0)


def _report_failure(line: Line, settings: _Settings, end: _Search) -> None:
    """Prints what is known of a search that failed."""
    print_where(
        end.error > settings.atol,
        NAME + ": no step decreases the loss enough. At the start: value {value}, slope {slope} (must be "
        "negative). Last trial: length {t}, decrease missed by {error} (if infinite, the step is 0).",
        value=line.value,
        slope=line.slope,
        t=end.t,
        error=end.error,
    )
