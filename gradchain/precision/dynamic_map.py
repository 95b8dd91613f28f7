"""The dynamic maps: numbers in decades, of which the larger have more codes."""

import functools

import jax.numpy as jnp
import numpy as np

from ..core.types import Array


@functools.cache
def dynamic_map(signed: bool, bits: int = 8) -> np.ndarray:
    """The numbers that codes stand for, in float64, ascending.

    The decade i, from 10^(i - n) to 10^(i + 1 - n), has 2^i numbers (unsigned 2^(i + 1)), the middles of
    equal parts of it, and with signs as many below 0; the n decades end at 1. Then there are 0 and 1.

    Reference: Dettmers et al., 2021, 8-bit Optimizers via Block-wise Quantization, arXiv:2110.02861.
    """
    decades = [_decade(i, signed, bits) for i in range(bits - 1)]
    positive = np.concatenate(decades)
    return np.sort(np.concatenate([positive, [0.0, 1.0], *([-positive] if signed else [])]))


def _decade(i: int, signed: bool, bits: int) -> np.ndarray:
    edges = np.linspace(0.1, 1, 2 ** (i + (not signed)) + 1)
    return (edges[:-1] + edges[1:]) / 2 * 10.0 ** (i + 2 - bits)


@functools.cache
def _middles(signed: bool, bits: int) -> np.ndarray:
    """Where the nearest number changes, of those that are not negative."""
    numbers = dynamic_map(signed, bits)
    numbers = numbers[numbers >= 0]
    return (numbers[1:] + numbers[:-1]) / 2


def rank_of(x: Array, signed: bool, bits: int = 8) -> Array:
    """Which of the map's numbers that are not negative is nearest to x, in [0, 1]; in float32, of float32.

    Within a decade it is a linear function of x, rounded down; the decade is found by comparisons. That is
    ten times as fast on a CPU as a search.
    """
    middles = _middles(signed, bits)
    one = jnp.float32
    slope, offset, first, last = (jnp.zeros_like(x) for _ in range(4))
    begin = 1
    for i in range(bits - 1):
        n = 2 ** (i + (not signed))
        unit = 0.9 * 10.0 ** (i + 2 - bits) / n
        inside = x >= one(middles[begin - 1])
        slope = jnp.where(inside, one(1 / unit), slope)
        offset = jnp.where(inside, one(begin - n / 9), offset)
        first = jnp.where(inside, one(begin), first)
        last = jnp.where(inside, one(begin + n - 1), last)
        begin += n
    rank = jnp.clip(jnp.floor(x * slope + offset), first, last)
    return jnp.where(x >= one(middles[-1]), one(begin), rank)


def code_of(x: Array, signed: bool, bits: int = 8) -> Array:
    """The code of the nearest number: its place in the map. uint8, of x in [-1, 1].

    Without signs what is more than 0 gets a code more than 0.
    """
    if not signed:
        return jnp.maximum(rank_of(x, signed, bits), jnp.where(x > 0, 1.0, 0.0)).astype(jnp.uint8)
    zero = 2 ** (bits - 1) - 1
    rank = rank_of(jnp.abs(x), signed, bits)
    code = jnp.where(x < 0, zero - jnp.minimum(rank, zero), zero + rank)
    return code.astype(jnp.uint8)


def number_of(codes: Array, signed: bool, bits: int = 8) -> Array:
    """The numbers that codes stand for, in float32.

    They are computed, not looked up: so XLA reads codes where it needs numbers, and keeps no copy of these.
    """
    zero = 2 ** (bits - 1) - 1 if signed else 0
    place = codes.astype(jnp.int32) - zero
    rank = jnp.abs(place).astype(jnp.float32)
    one = jnp.float32
    slope, offset, begin = jnp.zeros_like(rank), jnp.zeros_like(rank), 1
    for i in range(bits - 1):
        n = 2 ** (i + (not signed))
        unit = 0.9 * 10.0 ** (i + 2 - bits) / n
        inside = rank >= one(begin)
        slope = jnp.where(inside, one(unit), slope)
        offset = jnp.where(inside, one(unit * (n / 9 + 0.5 - begin)), offset)
        begin += n
    number = jnp.where(rank >= one(begin), one(1), rank * slope + offset)
    return jnp.where(place < 0, -number, number)
