"""The interval of a zoom search, and where in it to look next."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from .line import where


class End(NamedTuple):
    """A point on the line."""

    t: Any
    value: Any
    slope: Any


class Interval(NamedTuple):
    """Two ends between which a good step lies."""

    low: End  # the lower value with sufficient decrease
    high: End
    third: End  # the end thrown away last, for the cubic

    @property
    def length(self) -> Any:
        """The distance of the ends."""
        return jnp.abs(self.high.t - self.low.t)


def first_interval(before: End, new: End, turned: Any) -> Interval:
    """The interval between the last two trials; where the slope has turned the new one is the low end."""
    low, high = End(*where(turned, new, before)), End(*where(turned, before, new))
    return Interval(low, high, low)


def narrowed(interval: Interval, new: End, is_high: Any) -> Interval:
    """The part of the interval that ends in a point within it.

    The new point is the high end if it is no improvement; else it is the low one, and the high end
    moves to the old low one where the slope points away from it.
    """
    low, high, _ = interval
    crossed = ~is_high & (new.slope * (high.t - low.t) >= 0)
    new_high = End(*where(is_high, new, where(crossed, low, high)))
    third = End(*where(is_high | crossed, high, low))
    return Interval(End(*where(is_high, low, new)), new_high, third)


def middle(interval: Interval) -> Any:
    """The least point of a cubic; of a parabola if that is near an end; the midpoint if that is too."""
    low, high, third = interval
    left, right = jnp.minimum(low.t, high.t), jnp.maximum(low.t, high.t)

    def well_inside(t: Any, part: float) -> Any:
        return (t > left + part * interval.length) & (t < right - part * interval.length)

    cubic, parabola = _cubic_minimum(low, high, third), _parabola_minimum(low, high)
    t = jnp.where(well_inside(parabola, 0.1), parabola, (low.t + high.t) / 2)
    return jnp.where(well_inside(cubic, 0.2), cubic, t)


def _cubic_minimum(a: End, b: End, c: End) -> Any:
    """The minimum of the cubic with a's value and slope and the values of b and c; NaN if none."""
    db, dc = b.t - a.t, c.t - a.t
    eb, ec = b.value - a.value - a.slope * db, c.value - a.value - a.slope * dc
    scale = (db * dc) ** 2 * (db - dc)
    third_power = (dc**2 * eb - db**2 * ec) / scale
    square = (db**3 * ec - dc**3 * eb) / scale
    root = jnp.sqrt(square**2 - 3 * third_power * a.slope)
    # Two forms of one number: each is free of cancellation where the other is not.
    return a.t + jnp.where(square > 0, -a.slope / (square + root), (root - square) / (3 * third_power))


def _parabola_minimum(a: End, b: End) -> Any:
    """The minimum of the parabola with a's value and slope and b's value."""
    d = b.t - a.t
    return a.t - a.slope * d**2 / (2 * (b.value - a.value - a.slope * d))
