"""Schedules by fractions of the run: only one number depends on its length."""

from collections.abc import Iterable
from typing import Any

from ..core import schedule
from ..core.types import Numeric, Schedule
from .piecewise import check_shape, interpolated, products, sorted_scales, stepwise
from .polynomial import polynomial
from .progress import check_positive


def _check_fractions(name: str, fractions: Iterable[Any]) -> None:
    for fraction in fractions:
        if not 0 <= fraction <= 1:
            raise ValueError(f"{name}: fractions must be in [0, 1], received {fraction!r}.")


def _at_steps(
    name: str, total_steps: int, fractions_and_scales: dict[float, float] | None
) -> list[tuple[int, Any]]:
    check_positive(name, total_steps=total_steps)
    table = sorted_scales(name, fractions_and_scales)
    _check_fractions(name, (fraction for fraction, _ in table))
    return [(round(fraction * total_steps), scale) for fraction, scale in table]


@schedule
def polynomial_schedule_by_fraction(
    init_value: Numeric,
    end_value: Numeric,
    power: Numeric,
    total_steps: int,
    begin_fraction: float = 0.0,
    end_fraction: float = 1.0,
) -> Schedule:
    """`polynomial_schedule` between two fractions of the run.

    Args:
        init_value, end_value: the values before and after.
        power: 1 is linear; above 1 it is steep first.
        total_steps: length of the run in steps, positive.
        begin_fraction, end_fraction: where the transition begins and ends, in [0, 1];
            rounded to whole steps, the second after the first.

    Raises: ValueError for fractions or steps out of range.

    Example:
        >>> v = gc.polynomial_schedule_by_fraction(1.0, 0.0, power=1, total_steps=100, begin_fraction=0.5)
        >>> [float(v(t)) for t in (0, 50, 75, 100)]
        [1.0, 1.0, 0.5, 0.0]
    """
    name = "polynomial_schedule_by_fraction"
    check_positive(name, total_steps=total_steps)
    _check_fractions(name, (begin_fraction, end_fraction))
    begin, end = (round(fraction * total_steps) for fraction in (begin_fraction, end_fraction))
    if not begin < end:
        raise ValueError(
            f"{name}: end_fraction must be at least one step after begin_fraction "
            f"({begin_fraction!r}), received {end_fraction!r} of {total_steps!r} steps."
        )
    return polynomial(init_value, end_value, power, end - begin, begin)


@schedule
def piecewise_constant_schedule_by_fraction(
    init_value: Numeric, total_steps: int, fractions_and_scales: dict[float, float] | None = None
) -> Schedule:
    """`piecewise_constant_schedule` with boundaries in fractions of the run.

    Args:
        init_value: the value before the first boundary.
        total_steps: length of the run in steps, positive.
        fractions_and_scales: from fractions in [0, 1], rounded to whole steps, to factors, at least 0.

    Raises: ValueError for fractions, factors or steps out of range.

    Example:
        >>> v = gc.piecewise_constant_schedule_by_fraction(1.0, 100, {0.5: 0.5, 0.75: 0.5})
        >>> [float(v(t)) for t in (0, 50, 75)]
        [1.0, 0.5, 0.25]
    """
    name = "piecewise_constant_schedule_by_fraction"
    return stepwise(init_value, _at_steps(name, total_steps, fractions_and_scales))


@schedule
def piecewise_interpolate_schedule_by_fraction(
    interpolate_type: str,
    init_value: Numeric,
    total_steps: int,
    fractions_and_scales: dict[float, float] | None = None,
) -> Schedule:
    """`piecewise_interpolate_schedule` with boundaries in fractions of the run.

    Args:
        interpolate_type: "linear" or "cosine".
        init_value: the value at step 0.
        total_steps: length of the run in steps, positive.
        fractions_and_scales: from fractions in [0, 1], rounded to whole steps, to factors, at least 0.

    Raises: ValueError for another type, or fractions, factors or steps out of range.

    Example:
        >>> v = gc.piecewise_interpolate_schedule_by_fraction("linear", 1.0, 100, {0.5: 2.0, 1.0: 0.0})
        >>> [float(v(t)) for t in (0, 25, 50, 75, 100)]
        [1.0, 1.5, 2.0, 1.0, 0.0]
    """
    name = "piecewise_interpolate_schedule_by_fraction"
    check_shape(name, interpolate_type)
    table = _at_steps(name, total_steps, fractions_and_scales)
    steps, factors = [0, *(step for step, _ in table)], [scale for _, scale in table]
    return lambda count: interpolated(interpolate_type, steps, products(init_value, factors))(count)
