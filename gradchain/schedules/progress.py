"""The progress of a step count through an interval, exact at both ends of an interval of any length.

Differences and bounds are taken while the count is still an integer. A float32 cannot tell counts
above 2**24 apart, and `1 - n / steps` loses all its digits near the end of a long decay.

Values at the ends are selected, not computed. XLA fuses `a * w + b * (1 - w)`, and it multiplies by the
inverse of a constant in place of a division. So a formula that is exact on paper may not be exact when
compiled.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer


def real(x: Any) -> jax.Array:
    """`x` as a strongly typed array of the default float dtype (float32, or float64 under x64)."""
    return jnp.asarray(x, jnp.result_type(float))


def as_count(count: Any) -> jax.Array:
    """A count as an array: an integer of at least 32 bits, or a float in the default dtype."""
    count = jnp.asarray(count)
    if jnp.issubdtype(count.dtype, jnp.integer):
        return count if count.dtype.itemsize >= 4 else count.astype(jnp.int32)
    return count.astype(jnp.int32) if count.dtype == bool else real(count)


def number(x: Any) -> Any:
    """`x` as a Python number if its value is known."""
    known = hasattr(x, "item") and not isinstance(x, Tracer) and jnp.ndim(x) == 0
    return x.item() if known else x


def _is_integer(count: jax.Array) -> bool:
    return jnp.issubdtype(count.dtype, jnp.integer)


def reached(count: Any, boundary: Any) -> jax.Array:
    """Whether `count` is at or past `boundary`."""
    count, boundary = as_count(count), number(boundary)
    if not _is_integer(count) or not isinstance(boundary, (int, float)):
        return real(count) >= real(boundary)
    info = jnp.iinfo(count.dtype)
    if not info.min <= boundary <= info.max:
        return jnp.full(count.shape, boundary < info.min)
    return count >= math.ceil(boundary)


def since(count: Any, boundary: Any) -> jax.Array:
    """The steps since `boundary`, 0 before it; an integer where both are."""
    count, boundary = as_count(count), number(boundary)
    if _is_integer(count) and isinstance(boundary, int) and abs(boundary) <= jnp.iinfo(count.dtype).max:
        return jnp.maximum(count, boundary) - boundary
    return jnp.maximum(real(count) - real(boundary), 0)


@jax.custom_jvp
def _valued(value: jax.Array, formula: jax.Array) -> jax.Array:
    """`value`, with the derivative of `formula`, which is the same before rounding."""
    del formula
    return value


@_valued.defjvp
def _valued_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    return primals[0], tangents[1]


@jax.jit
def _divided(x: jax.Array, y: jax.Array) -> jax.Array:
    return x / jnp.where(jnp.isnan(x), 0, y)  # not a constant: XLA would multiply by its inverse


def is_number(x: Any) -> bool:
    """Whether `x` is one of Python's real numbers."""
    return isinstance(x, (int, float))


def quotient(x: Any, y: Any) -> Any:
    """x / y, correctly rounded even if compiled; a Python number if both are Python numbers."""
    return x / y if is_number(x) and is_number(y) and y != 0 else _divided(real(x), real(y))


def until(count: Any, boundary: Any) -> jax.Array:
    """The steps up to `boundary`, 0 from there on; exact integers where both are."""
    count, boundary = as_count(count), number(boundary)
    if _is_integer(count) and isinstance(boundary, int) and abs(boundary) <= jnp.iinfo(count.dtype).max:
        return boundary - jnp.clip(count, 0, boundary)
    return real(boundary) - jnp.clip(real(count), 0, real(boundary))


@jax.jit
def _parts(n: jax.Array, left: jax.Array, steps: jax.Array) -> tuple[jax.Array, jax.Array]:
    done, ahead = quotient(n, steps), quotient(left, steps)
    return _valued(jnp.where(left <= 0, 1, done), done), _valued(jnp.where(n <= 0, 1, ahead), ahead)


def done_and_left(count: Any, steps: Any, begin: Any = 0) -> tuple[jax.Array, jax.Array]:
    """The parts in [0, 1] of the interval `begin ... begin + steps` that are done and left.

    They are (0, 1) up to `begin` and (1, 0) from `begin + steps` on, exactly; each is correctly
    rounded in between.
    """
    n, steps = since(count, begin), number(steps)
    exact = _is_integer(n) and isinstance(steps, int) and 0 <= steps <= jnp.iinfo(n.dtype).max
    n = jnp.minimum(n, steps) if exact else jnp.minimum(real(n), real(steps))
    return _parts(n, steps - n if exact else real(steps) - n, real(steps))


@jax.jit
def _blended(start: jax.Array, end: jax.Array, weight: jax.Array) -> jax.Array:
    mean = start * weight + end * (1 - weight)
    inside = jnp.clip(mean, jnp.minimum(start, end), jnp.maximum(start, end))
    return _valued(jnp.where(weight == 1, start, jnp.where(weight == 0, end, inside)), mean)


def blend(start: Any, end: Any, weight: Any) -> jax.Array:
    """weight start + (1 - weight) end: exact at weights 0 and 1, and always between `start` and `end`."""
    return _blended(real(start), real(end), real(weight))


@jax.jit
def between(start: Any, end: Any, formula: Any, done: Any) -> jax.Array:
    """`formula`, held between `start` and `end`; exactly these where 0 or 1 is done."""
    start, end = real(start), real(end)
    inside = jnp.clip(formula, jnp.minimum(start, end), jnp.maximum(start, end))
    inside = _valued(inside, formula)
    return jnp.where(done <= 0, start, jnp.where(done >= 1, end, inside))


@jax.jit
def half_cosine(left: Any) -> jax.Array:
    """(1 - cos(pi left)) / 2 for `left` in [0, 1]: 0 at 0 and 1 at 1 exactly, no cancellation."""
    rising = jnp.square(jnp.sin(left * (math.pi / 2)))
    return jnp.where(left < 0.5, rising, 1 - jnp.square(jnp.sin((1 - left) * (math.pi / 2))))


def power(x: Any, exponent: Any) -> jax.Array:
    """`x ** exponent`, by multiplication where the exponent is a known whole number."""
    exponent = number(exponent)
    if isinstance(exponent, (int, float)) and float(exponent).is_integer():
        return x ** int(exponent)
    return x ** real(exponent)


def is_known(x: Any) -> bool:
    """Whether the value of `x` is known now: it is not a tracer."""
    return not isinstance(x, Tracer)


def check_positive(name: str, **steps: Any) -> None:
    """Raises ValueError for a number of steps that is not positive; `name` is the schedule's."""
    for argument, value in steps.items():
        if is_known(value) and not value > 0:
            raise ValueError(f"{name}: {argument} must be positive, received {value!r}.")
