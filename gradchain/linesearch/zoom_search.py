"""The zoom search, trial by trial.

At first the lengths grow. Once two trials have a good step between them, the search zooms: it narrows
the interval between them until the conditions are met.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..tree import cast_like, where
from .interval import Interval, Point, interval_between, narrowed, next_inside
from .line import Line, print_where

NAME = "scale_by_zoom_linesearch"


class Settings(NamedTuple):
    """The arguments of `scale_by_zoom_linesearch` that the search reads."""

    max_linesearch_steps: Any
    max_learning_rate: Any  # or None
    tol: Any
    increase_factor: Any
    slope_rtol: Any
    curv_rtol: Any
    approx_dec_rtol: Any  # or None
    stepsize_precision: Any


class Search(NamedTuple):
    """What is known after some trials."""

    count: Any  # i32[]  trials made
    last: Point  # the last trial
    last_grads: list[Any]  # the gradients there
    interval: Interval  # holds a good step, once the search zooms
    safe: Point  # the lowest trial with sufficient decrease; the start if there is none
    safe_grads: list[Any]  # the gradients there
    decrease_error: Any  # f32[]  by how much the last trial misses sufficient decrease
    curvature_error: Any  # f32[]  by how much the slope there is too steep
    zooming: Any  # bool[]  whether the lengths no longer grow
    done: Any  # bool[]  whether the last trial is the step to take
    failed: Any  # bool[]  whether the search was given up


def search(line: Line, settings: Settings, first_length: Any) -> Search:
    """Tries lengths until one meets the conditions, or until the search is given up."""
    return jax.lax.while_loop(
        lambda s: ~(s.done | s.failed),
        lambda s: _after_one_more_trial(line, settings, first_length, s),
        _before_any_trial(line),
    )


def step_to_take(end: Search) -> tuple[Point, list[Any]]:
    """The point where the step ends, and the gradients there.

    That is the last trial. After a failure it is the safe point. While that is still the start, the
    last trial is preferred if it is finite: a step of 0 would not get anywhere.
    """
    use_safe = end.failed & ((end.safe.t > 0) | jnp.isinf(end.decrease_error))
    return where(use_safe, (end.safe, end.safe_grads), (end.last, end.last_grads))


def report_failure(line: Line, end: Search) -> None:
    """Prints what is known of a search that failed."""
    print_where(
        end.failed,
        NAME + ": no step meets the conditions. At the start: value {value}, slope {slope} (must be "
        "negative). Last trial: length {t}, sufficient decrease missed by {decrease}, curvature by "
        "{curvature}. Safe length: {safe}.",
        value=line.value,
        slope=line.slope,
        t=end.last.t,
        decrease=end.decrease_error,
        curvature=end.curvature_error,
        safe=end.safe.t,
    )


def _before_any_trial(line: Line) -> Search:
    start = Point(line.scalar(0.0), line.value, line.slope)
    no, infinite = jnp.zeros((), bool), line.scalar(jnp.inf)
    return Search(
        count=jnp.zeros((), jnp.int32),
        last=start,
        last_grads=line.grads,
        interval=Interval(start, start, start),
        safe=start,
        safe_grads=line.grads,
        decrease_error=infinite,
        curvature_error=infinite,
        zooming=no,
        done=no,
        failed=no,
    )


def _after_one_more_trial(line: Line, settings: Settings, first_length: Any, s: Search) -> Search:
    t, is_longest = _next_length(settings, first_length, s)
    value, grads, slope = line.value_grads_slope_at(line.scalar(t))
    new = Point(t, value, slope)
    decrease_error, curvature_error = (
        _decrease_error(line, settings, new),
        _curvature_error(line, settings, new),
    )
    met = jnp.maximum(decrease_error, curvature_error) <= settings.tol

    is_high = _is_no_improvement(s, new, decrease_error)
    turned = ~is_high & (slope >= 0)
    zooming = s.zooming | is_high | turned | met
    interval = where(s.zooming, narrowed(s.interval, new, is_high), interval_between(s.last, new, turned))

    is_safer = (decrease_error <= settings.tol) & (~s.zooming | (value < s.safe.value))
    safe = where(is_safer, new, s.safe)
    done = met | (is_longest & ~zooming)
    return cast_like(
        Search(
            count=s.count + 1,
            last=new,
            last_grads=grads,
            interval=interval,
            safe=safe,
            safe_grads=where(is_safer, grads, s.safe_grads),
            decrease_error=decrease_error,
            curvature_error=curvature_error,
            zooming=zooming,
            done=done,
            failed=_is_given_up(settings, s, safe) & ~done,
        ),
        s,
    )


def _next_length(settings: Settings, first_length: Any, s: Search) -> tuple[Any, Any]:
    """The length to try, and whether it is the longest allowed."""
    longest = jnp.inf if settings.max_learning_rate is None else settings.max_learning_rate
    grown = jnp.where(s.count == 0, first_length, settings.increase_factor * s.last.t)
    is_longest = ~s.zooming & (grown >= longest)
    return jnp.where(s.zooming, next_inside(s.interval), jnp.minimum(grown, longest)), is_longest


def _decrease_error(line: Line, settings: Settings, point: Point) -> Any:
    """By how much a point misses sufficient decrease, or the approximate one if that is allowed."""
    risen = point.value - line.value
    error = risen - settings.slope_rtol * point.t * line.slope
    if settings.approx_dec_rtol is not None:
        too_flat = point.slope - (2 * settings.slope_rtol - 1) * line.slope
        too_high = risen - settings.approx_dec_rtol * jnp.abs(line.value)
        error = jnp.minimum(jnp.maximum(too_flat, too_high), error)
    return _positive_part(error)


def _curvature_error(line: Line, settings: Settings, point: Point) -> Any:
    """By how much the slope at a point is too steep."""
    return _positive_part(jnp.abs(point.slope) - settings.curv_rtol * jnp.abs(line.slope))


def _positive_part(x: Any) -> Any:
    """`x` where it is positive, else 0. Infinite where it is NaN: such a point is as bad as can be."""
    return jnp.where(jnp.isnan(x), jnp.inf, jnp.maximum(x, 0))


def _is_no_improvement(s: Search, new: Point, decrease_error: Any) -> Any:
    """Whether the new point is the high end of the interval.

    It is if the loss there does not decrease enough, or is not below that of the low end. While the
    lengths grow, the trial before is the low end; the first trial has none.
    """
    rises = new.value >= jnp.where(s.zooming, s.interval.low.value, s.last.value)
    return (decrease_error > 0) | (rises & (s.zooming | (s.count > 0)))


def _is_given_up(settings: Settings, s: Search, safe: Point) -> Any:
    """Whether there are no trials left, or the interval is too short and a safe step is known."""
    is_short = s.zooming & (s.interval.length <= settings.stepsize_precision)
    return (s.count + 1 >= settings.max_linesearch_steps) | (is_short & (safe.t > 0))
