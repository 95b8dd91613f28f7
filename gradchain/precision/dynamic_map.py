"""The dynamic maps: numbers in decades, of which the larger have more codes."""

import functools
import itertools

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
def _pieces(signed: bool, bits: int) -> list[tuple[float, float, float]]:
    """Where numbers that are not negative begin to have other distances, and from there slope and offset.

    Between neighbours, and so in a decade and between two, the place of a number is a linear function.
    """
    table = dynamic_map(signed, bits)
    table = table[table >= 0]
    places, begin = [0], 1
    for i in range(bits - 1):
        end = begin + 2 ** (i + (not signed))
        places += sorted({begin, end - 1})
        begin = end
    pieces = []
    for place, following in itertools.pairwise([*places, begin]):
        slope = (following - place) / (table[following] - table[place])
        pieces.append((float(table[place]), slope, place - float(table[place]) * slope))
    return pieces


def rank_of(x: Array, signed: bool, bits: int = 8, up: Array | float = 0.5) -> Array:
    """Which of the map's numbers that are not negative is next to x, in [0, 1]; in float32, of float32.

    It is found by comparisons with where pieces begin: ten times as fast on a CPU as a search.

    Args: up, a number between two becomes the upper one if it is closer to it than `up`, in parts of their
        distance: 0.5 for the nearest.
    """
    one = jnp.float32
    (_, slope, offset), *others = _pieces(signed, bits)
    slopes, offsets = jnp.full_like(x, slope), jnp.full_like(x, offset)
    for begin, slope, offset in others:
        beyond = x >= one(begin)
        slopes = jnp.where(beyond, one(slope), slopes)
        offsets = jnp.where(beyond, one(offset), offsets)
    return jnp.minimum(jnp.floor(x * slopes + offsets + up), one(2 ** (bits - signed) - (not signed)))


def code_of(x: Array, signed: bool, bits: int = 8, up: Array | float = 0.5) -> Array:
    """The code of the nearest number: its place in the map. uint8, of x in [-1, 1].

    Without signs what is more than 0 gets a code more than 0. Args: up, see `rank_of`.
    """
    if not signed:
        return jnp.maximum(rank_of(x, signed, bits, up), jnp.where(x > 0, 1.0, 0.0)).astype(jnp.uint8)
    zero = 2 ** (bits - 1) - 1
    rank = rank_of(jnp.abs(x), signed, bits, up)
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
