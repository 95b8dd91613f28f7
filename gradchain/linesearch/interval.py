"""The interval of a zoom search: how it is narrowed, and where in it to look next."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from ..tree import where


class Point(NamedTuple):
    """A point on the line: the parameters after a step of length t."""

    t: Any
    value: Any  # of the loss
    slope: Any  # of the loss along the line


class Interval(NamedTuple):
    """Two points between which a good step lies. `low` may be on either side."""

    low: Point  # the lower loss, with sufficient decrease
    high: Point
    dropped: Point  # the end that was dropped last; the cubic goes through it

    @property
    def length(self) -> Any:
        """The distance of the two points."""
        return jnp.abs(self.high.t - self.low.t)


def interval_between(before: Point, new: Point, turned: Any) -> Interval:
    """The interval between the last two trials; the new one is low if the slope there points upwards."""
    low, high = where(turned, new, before), where(turned, before, new)
    return Interval(low, high, low)


def narrowed(interval: Interval, new: Point, is_high: Any) -> Interval:
    """The part of the interval that still holds a good step, once a point within it is known.

    A point that is no improvement becomes the high end. Any other becomes the low end; where the loss
    falls towards the old low end, that one becomes the high end.
    """
    low, high, _ = interval
    swapped = ~is_high & (new.slope * (high.t - low.t) >= 0)
    new_low = where(is_high, low, new)
    new_high = where(is_high, new, where(swapped, low, high))
    dropped = where(is_high | swapped, high, low)
    return Interval(new_low, new_high, dropped)


def next_inside(interval: Interval) -> Any:
    """Where in the interval to look next: at a cubic's minimum, else at a parabola's, else in the middle.

    A minimum counts only if it is not too near an end, so that the interval shrinks with every trial.
    """
    low, high, dropped = interval
    left, right = jnp.minimum(low.t, high.t), jnp.maximum(low.t, high.t)

    def well_inside(t: Any, margin: float) -> Any:
        return (t > left + margin * interval.length) & (t < right - margin * interval.length)

    cubic, parabola = _cubic_minimum(low, high, dropped), _parabola_minimum(low, high)
    t = jnp.where(well_inside(parabola, 0.1), parabola, (low.t + high.t) / 2)
    return jnp.where(well_inside(cubic, 0.2), cubic, t)


def _cubic_minimum(a: Point, b: Point, c: Point) -> Any:
    """The minimum of the cubic with a's value and slope and the values of b and c; NaN if none."""
    db, dc = b.t - a.t, c.t - a.t
    # What the values of b and c have beyond the tangent at a.
    eb, ec = b.value - a.value - a.slope * db, c.value - a.value - a.slope * dc
    scale = (db * dc) ** 2 * (db - dc)
    cubed = (dc**2 * eb - db**2 * ec) / scale  # the coefficients of (t - a.t)^3 and (t - a.t)^2
    squared = (db**3 * ec - dc**3 * eb) / scale
    root = jnp.sqrt(squared**2 - 3 * cubed * a.slope)
    # Two forms of one number: each loses digits to cancellation where the other does not.
    return a.t + jnp.where(squared > 0, -a.slope / (squared + root), (root - squared) / (3 * cubed))


def _parabola_minimum(a: Point, b: Point) -> Any:
    """The minimum of the parabola with a's value and slope and b's value."""
    d = b.t - a.t
    return a.t - a.slope * d**2 / (2 * (b.value - a.value - a.slope * d))
