"""Values at chosen steps, constant or interpolated between them."""

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core import schedule
from ..core.types import Numeric, Schedule
from .constant import constant
from .progress import blend, done_and_left, half_cosine, is_known, is_number, number, reached, real

SHAPES = {"linear": lambda left: left, "cosine": half_cosine}


def sorted_scales(name: str, boundaries_and_scales: Mapping[Any, Any] | None) -> list[tuple[Any, Any]]:
    """The boundaries in order, each with its factor. ValueError for a negative factor."""
    table = sorted((boundaries_and_scales or {}).items())
    for boundary, factor in table:
        if is_known(factor) and factor < 0:
            raise ValueError(f"{name}: scales must be at least 0, received {factor!r} at {boundary!r}.")
    return [(number(boundary), number(factor)) for boundary, factor in table]


def check_shape(name: str, interpolate_type: str) -> None:
    """Raises ValueError for an unknown shape."""
    if interpolate_type not in SHAPES:
        raise ValueError(
            f"{name}: interpolate_type must be 'linear' or 'cosine', received {interpolate_type!r}."
        )


def interpolated(shape: str, steps: Sequence[Any], values: Sequence[Any]) -> Schedule:
    """Has each value at its step (the last one if a step has several), and interpolates between."""

    def value(count: Any) -> jax.Array:
        result = constant(real(values[0]), count)
        points = zip(steps, values, strict=True)
        for (begin, start), (stop, end) in itertools.pairwise(points):
            if stop > begin:
                _, left = done_and_left(count, stop - begin, begin)
                piece = blend(start, end, SHAPES[shape](left))
            else:
                piece = real(end)
            result = jnp.where(reached(count, begin), piece, result)
        return result

    return value


def products(init_value: Any, factors: Sequence[Any]) -> list[jax.Array]:
    """The running products of `init_value` and the factors.

    Products of Python numbers are rounded once: XLA reorders products with constants, so compiled code
    would round them in another way.
    """
    if not all(map(is_number, factors)):
        return list(itertools.accumulate(map(real, factors), jnp.multiply, initial=real(init_value)))
    scales = itertools.accumulate(factors, operator.mul, initial=1)
    if is_number(init_value):
        return [real(init_value * scale) for scale in scales]
    return [real(init_value) * real(scale) for scale in scales]


def stepwise(init_value: Any, table: Sequence[tuple[Any, Any]]) -> Schedule:
    """`init_value`, multiplied by each factor from its boundary on."""

    def value(count: Any) -> jax.Array:
        result = constant(real(init_value), count)
        values = products(init_value, [factor for _, factor in table])
        for (boundary, _), v in zip(table, values[1:], strict=True):
            result = jnp.where(reached(count, boundary), v, result)
        return result

    return value


@schedule
def piecewise_constant_schedule(
    init_value: Numeric, boundaries_and_scales: dict[int, float] | None = None
) -> Schedule:
    """Multiplies the value by a factor at each boundary.

    v(t) = init_value times the scales of all boundaries <= t.

    Args:
        init_value: the value before the first boundary.
        boundaries_and_scales: from steps to factors, which are at least 0.

    Raises: ValueError for a negative factor.

    Example:
        >>> v = gc.piecewise_constant_schedule(1.0, {10: 0.5, 20: 0.5})
        >>> [float(v(t)) for t in (0, 9, 10, 20)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return stepwise(init_value, sorted_scales("piecewise_constant_schedule", boundaries_and_scales))


@schedule
def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Numeric, boundaries_and_scales: dict[int, float] | None = None
) -> Schedule:
    """Interpolates between values, linearly or along half cosines.

    The value at a boundary is `init_value` times the scales of all boundaries up to it.

    Args:
        interpolate_type: "linear" or "cosine".
        init_value: the value at step 0.
        boundaries_and_scales: from steps to factors, which are at least 0.

    Raises: ValueError for another type or a negative factor.

    Example:
        >>> v = gc.piecewise_interpolate_schedule("linear", 1.0, {4: 2.0, 8: 0.0})
        >>> [float(v(t)) for t in (0, 2, 4, 6, 8)]
        [1.0, 1.5, 2.0, 1.0, 0.0]
    """
    name = "piecewise_interpolate_schedule"
    check_shape(name, interpolate_type)
    table = sorted_scales(name, boundaries_and_scales)
    steps = [0, *(boundary for boundary, _ in table)]
    factors = [factor for _, factor in table]
    return lambda count: interpolated(interpolate_type, steps, products(init_value, factors))(count)
