"""Zoom: a step that decreases the loss enough and flattens its slope (the strong Wolfe conditions)."""

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
from .interval import End, Interval, first_interval, middle, narrowed
from .line import Line, note, where


class ZoomLinesearchInfo(NamedTuple):
    """How a zoom search went."""

    num_linesearch_steps: Any  # i32[]  evaluations of the value function and its gradient
    decrease_error: Any  # f32[]  by how much sufficient decrease is missed
    curvature_error: Any  # f32[]  by how much the slope is too steep


class ScaleByZoomLinesearchState(NamedTuple):
    """State of `scale_by_zoom_linesearch`."""

    learning_rate: Any  # f32[]  the last step's length
    value: Any  # f32[]  the loss where that step ended; inf at first
    grad: Updates  # like params, its gradient there
    info: ZoomLinesearchInfo


class _Search(NamedTuple):
    count: Any
    end: End  # the last trial
    grads: list[Any]
    interval: Interval
    safe: End  # the lowest trial with sufficient decrease, or the start
    safe_grads: list[Any]
    decrease_error: Any
    curvature_error: Any
    found: Any  # whether the interval holds a step to zoom in on
    done: Any
    failed: Any


@transformation
def scale_by_zoom_linesearch(
    max_linesearch_steps: int | jax.Array,
    max_learning_rate: Numeric | None = None,
    tol: Numeric = 0.0,
    increase_factor: Numeric = 2.0,
    slope_rtol: Numeric = 1e-4,
    curv_rtol: Numeric = 0.9,
    approx_dec_rtol: Numeric | None = 1e-6,
    stepsize_precision: Numeric = 1e-5,
    initial_guess_strategy: str = "keep",
    verbose: bool = False,
) -> GradientTransformationExtraArgs:
    """Scales a descent direction u by a length t that satisfies the strong Wolfe conditions.

    With f(t) = loss(p + t u):  f(t) <= f(0) + slope_rtol t f'(0)  and  |f'(t)| <= curv_rtol |f'(0)|.
    Lengths grow until an interval holds such a t, which cubic interpolation then narrows.

    `update` needs `value`, `grad` and `value_fn`, the loss as a function of all parameters; other
    extra arguments that `value_fn` names are passed on to it.

    Args:
        max_linesearch_steps: evaluations at most. max_learning_rate: the largest t.
        tol: by how much either condition may be missed. increase_factor: of t while it grows.
        slope_rtol, curv_rtol: 0 < slope_rtol < curv_rtol < 1.
        approx_dec_rtol: accept the approximate decrease of Hager and Zhang, which rounding does not
            hide, if the value rises by at most this part; None: never.
        stepsize_precision: an interval this short is searched no further.
        initial_guess_strategy: first t, "one" or "keep" (the last one).
        verbose: print where a search fails.

    State: `ScaleByZoomLinesearchState(learning_rate, value, grad, info)`, scalars at least float32.
    Memory: 1 x the parameters; 2 more while searching.
    Raises: ValueError for another strategy, or without parameters; TypeError if an argument is missing.
    Reference: Nocedal and Wright, 2006, Numerical Optimization, algorithms 3.5 and 3.6; Hager and
        Zhang, 2005, A New Conjugate Gradient Method.
    """
    if initial_guess_strategy not in ("one", "keep"):
        raise ValueError(
            "scale_by_zoom_linesearch: initial_guess_strategy must be 'one' or 'keep', received "
            f"{initial_guess_strategy!r}."
        )

    def init(params: Params) -> ScaleByZoomLinesearchState:
        dtype = scalar_dtype(params)
        value, *errors = (jnp.full((), jnp.inf, dtype) for _ in range(3))  # may be donated apart
        info = ZoomLinesearchInfo(jnp.zeros((), jnp.int32), *errors)
        one, grad = jnp.ones((), dtype), jax.tree.map(zeros_like, params)
        return ScaleByZoomLinesearchState(one, value, grad, info)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ScaleByZoomLinesearchState]:
        with relaxed_promotion():
            line = Line("scale_by_zoom_linesearch", updates, params, extra_args)
            last = search(line, state.learning_rate)
            if verbose:
                _report(line, last)
            use_safe = last.failed & ((last.safe.t > 0) | jnp.isinf(last.decrease_error))
            t, value, _ = where(use_safe, last.safe, last.end)
            grad = line.put(where(use_safe, last.safe_grads, last.grads), state.grad)
            info = ZoomLinesearchInfo(last.count, last.decrease_error, last.curvature_error)
            new = ScaleByZoomLinesearchState(t, value, grad, info)
            new = jax.tree.map(lambda x, like: cast(x, dtype_of(like)), new, state)
            return line.step(t), new

    def search(line: Line, before: Any) -> _Search:
        keep = initial_guess_strategy == "keep"
        guess = jnp.where(before > 0, before, 1.0) if keep else 1.0  # after a step of 0, begin anew

        def trial(s: _Search) -> _Search:
            t = jnp.where(s.count == 0, guess, increase_factor * s.end.t)
            at_most = jnp.inf if max_learning_rate is None else max_learning_rate
            longest = ~s.found & (t >= at_most)
            t = jnp.where(s.found, middle(s.interval), jnp.minimum(t, at_most))
            value, grads, slope = line.at(line.scalar(t))
            new = End(t, value, slope)
            decrease_error, curvature_error = missing(line, new)
            error = jnp.maximum(decrease_error, curvature_error)
            safer = (decrease_error <= tol) & (~s.found | (value < s.safe.value))
            met = error <= tol
            rises = value >= jnp.where(s.found, s.interval.low.value, s.end.value)
            high = (decrease_error > 0) | (rises & (s.found | (s.count > 0)))
            turned = ~high & (slope >= 0)
            found = s.found | high | turned | met
            interval = Interval(
                *(
                    End(*where(s.found, zoomed, begun))
                    for zoomed, begun in zip(
                        narrowed(s.interval, new, high), first_interval(s.end, new, turned), strict=True
                    )
                )
            )
            done = met | (longest & ~found)
            short = s.found & (s.interval.length <= stepsize_precision)
            safe = End(*where(safer, new, s.safe))
            given_up = (s.count + 1 >= max_linesearch_steps) | (short & (safe.t > 0))
            return jax.tree.map(
                lambda x, like: cast(x, dtype_of(like)),
                _Search(
                    count=s.count + 1,
                    end=new,
                    grads=grads,
                    interval=interval,
                    safe=safe,
                    safe_grads=where(safer, grads, s.safe_grads),
                    decrease_error=decrease_error,
                    curvature_error=curvature_error,
                    found=found,
                    done=done,
                    failed=given_up & ~done,
                ),
                s,
            )

        start = End(line.scalar(0.0), line.value, line.slope)
        no, inf = jnp.zeros((), bool), line.scalar(jnp.inf)
        first = _Search(
            count=jnp.zeros((), jnp.int32),
            end=start,
            grads=line.grads,
            interval=Interval(start, start, start),
            safe=start,
            safe_grads=line.grads,
            decrease_error=inf,
            curvature_error=inf,
            found=no,
            done=no,
            failed=no,
        )
        return jax.lax.while_loop(lambda s: ~(s.done | s.failed), trial, first)

    def missing(line: Line, end: End) -> tuple[Any, Any]:
        risen = end.value - line.value
        decrease_error = risen - slope_rtol * end.t * line.slope
        if approx_dec_rtol is not None:
            flattened = end.slope - (2 * slope_rtol - 1) * line.slope
            risen_too_far = risen - approx_dec_rtol * jnp.abs(line.value)
            decrease_error = jnp.minimum(jnp.maximum(flattened, risen_too_far), decrease_error)
        curvature_error = jnp.abs(end.slope) - curv_rtol * jnp.abs(line.slope)
        return _error(decrease_error), _error(curvature_error)

    return GradientTransformationExtraArgs(init, compiled(update))


def _error(x: Any) -> Any:
    """`x` where positive; infinite where there is no telling."""
    return jnp.where(jnp.isnan(x), jnp.inf, jnp.maximum(x, 0))


def _report(line: Line, last: _Search) -> None:
    note(
        last.failed,
        "scale_by_zoom_linesearch: the conditions are not met: value {value}, slope {slope} (must be "
        "negative), last length {t}, decrease missed by {decrease}, curvature by {curvature}; longest safe "
        "length {safe}.",
        value=line.value,
        slope=line.slope,
        t=last.end.t,
        decrease=last.decrease_error,
        curvature=last.curvature_error,
        safe=last.safe.t,
    )
