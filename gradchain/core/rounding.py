"""Rounding to low precision: to the nearest number, and at random without bias.

Results are computed in the wide dtype, as numbers that the low one holds, and then cast. So a compiler that
leaves out a cast and the way back (XLA's "excess precision") changes nothing. Subnormal numbers stay.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._dtypes import cast, dtype_of, is_inexact, widen
from .numerics import drawn_like
from .types import Array, DTypeLike

_UNSIGNED = {4: jnp.uint32, 8: jnp.uint64}
"""By the bytes of a floating point number: the integer with the same bits."""


def is_low(x: Any) -> bool:
    """Whether `x` is a real array of fewer bits than float32, in which small steps are lost."""
    if not (hasattr(x, "dtype") and is_inexact(x)):
        return False
    return jnp.finfo(dtype_of(x)).bits < 32


def spacing(x: Array, dtype: DTypeLike) -> Array:
    """The distance between neighbours in `dtype` beyond |x|: a power of two, in the dtype of `x`.

    At least the smallest normal number of x's own dtype: XLA takes smaller ones for 0.
    """
    low, high = jnp.finfo(dtype), jnp.finfo(x.dtype)
    unsigned = _UNSIGNED[x.dtype.itemsize]
    infinity = jax.lax.bitcast_convert_type(jnp.asarray(jnp.inf, x.dtype), unsigned)
    bits = jax.lax.bitcast_convert_type(x, unsigned) & infinity  # of the exponent alone
    power = jax.lax.bitcast_convert_type(bits, x.dtype)
    least = 2.0 ** max(int(low.minexp) - int(low.nmant), int(high.minexp))
    return jnp.maximum(power * jnp.asarray(2.0**-low.nmant, x.dtype), jnp.asarray(least, x.dtype))


def rounded(x: Array, dtype: DTypeLike) -> Array:
    """The number of `dtype` nearest to `x`, ties to even, in the dtype of `x`; beyond its range as a cast.

    Args: x, float32 or float64; dtype, with fewer bits. The derivative is that of `x`.
    """
    if _same_range(x.dtype, dtype):
        low = jnp.finfo(dtype)
        return jax.lax.reduce_precision(x, low.bits - 1 - low.nmant, low.nmant)
    step = spacing(x, dtype)
    return _straight(x, _within_range(jnp.round(jnp.abs(x) / step) * step, x, dtype))


def rounded_at_random(x: Array, key: Array, dtype: DTypeLike) -> Array:
    """One of the two numbers of `dtype` around `x`, in the dtype of `x`: see `stochastic_round`."""
    nearest = rounded(x, dtype)
    if _same_range(x.dtype, dtype):  # by integers: subnormal numbers are 0 to XLA
        noise = drawn_like(jax.random.bits, key, x, jnp.uint16).astype(jnp.uint32)
        bits = jax.lax.bitcast_convert_type(x, jnp.uint32) + noise
        chosen = jax.lax.bitcast_convert_type(bits & jnp.uint32(0xFFFF0000), x.dtype)
    else:
        step = spacing(x, dtype)
        steps = jnp.abs(x) / step
        down = jnp.floor(steps)
        # In integers: a float32 would be drawn from 2**23 numbers only, and no part is cut off so.
        part = jnp.where(jnp.isfinite(steps), steps - down, 0) * jnp.asarray(2.0**32, x.dtype)
        up = drawn_like(jax.random.bits, key, x, jnp.uint32) < part.astype(jnp.uint32)
        chosen = _within_range((down + up.astype(x.dtype)) * step, x, dtype)
    inside = jnp.abs(x) <= jnp.asarray(float(jnp.finfo(dtype).max), x.dtype)  # not for NaN
    return _straight(x, jnp.where(inside, chosen, nearest))


def stochastic_round(x: Array, key: Array, dtype: DTypeLike) -> Array:
    """`x` rounded at random to one of its two neighbours in `dtype`, so that its mean is `x`.

    It rounds up with a probability of (x - down) / (up - down), to 16 random bits for bfloat16 and 32 for
    others. What `dtype` holds stays, so does a zero and the sign.

    Args:
        x: a real array, computed in at least float32.
        key: a random key, for this array alone.
        dtype: a floating point dtype; one with as many bits as x's (as float32's) or more only casts.

    Returns: an array of `dtype`. Beyond its largest number, and for NaN and infinity, it is what a cast
        gives: infinity or NaN. The derivative is that of a cast.
    Reference: Forsythe, 1950, Round-off errors in numerical integration on automatic machinery.
    """
    x, dtype = widen(x), np.dtype(dtype)
    narrower = jnp.finfo(dtype).bits < jnp.finfo(x.dtype).bits
    return cast(rounded_at_random(x, key, dtype) if narrower else x, dtype)


def _same_range(wide: Any, low: Any) -> bool:
    """Whether the lower dtype has the exponents of the wide one, as bfloat16 has float32's."""
    return int(jnp.finfo(wide).minexp) == int(jnp.finfo(low).minexp)


def _within_range(size: Array, x: Array, dtype: DTypeLike) -> Array:
    """A size with the sign of `x`, or what a cast makes of what is beyond the range of `dtype`."""
    beyond = np.asarray(np.inf, np.float32).astype(np.dtype(dtype)).astype(np.float32)
    largest = jnp.asarray(float(jnp.finfo(dtype).max), x.dtype)
    over = (size > largest) | jnp.isinf(x)
    return jnp.copysign(jnp.where(over, jnp.asarray(beyond, x.dtype), size), x)


@jax.custom_jvp
def _straight(x: Array, rounded: Array) -> Array:
    """`rounded`, with the derivative of `x`: that of rounding is 0 almost everywhere."""
    return rounded


@_straight.defjvp
def _straight_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[1], tangents[0]
