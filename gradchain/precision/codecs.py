"""The formats of low-bit states: how arrays become codes and scales."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from ..core.rounding import rounded_at_random, spacing
from ..core.types import Array
from .blocks import Blocks, blocks_of, extreme
from .blocks_of_shards import sharded_as, whole_blocks
from .dynamic_map import code_of, number_of
from .threshold import threshold

FLOAT8 = jnp.float8_e4m3fn
LARGEST = 448.0
"""The largest number of float8_e4m3fn."""
SMALLEST = 2.0**-9
"""The smallest one above 0."""


def _normal(parts: Array, scales: Array) -> Array:
    """The parts over their scales; 0 where the scale is 0 or no number: there the scale tells."""
    usable = (scales != 0) & jnp.isfinite(scales)
    return jnp.where(usable, parts / jnp.where(usable, scales, 1), 0)


@dataclasses.dataclass(frozen=True)
class Dynamic:
    """Codes of a dynamic map, with a scale for each block: its entry of the largest size."""

    bits: int  # 8 or 4
    signed: bool
    block: int

    @property
    def name(self) -> str:
        """In a few words."""
        return f"{self.bits}-bit"

    def encode(self, x: Array, seed: Array | None = None) -> tuple[Array, Array]:
        """uint8[shape] or, two in each, uint8[..., half]; f32[blocks]."""
        blocks = blocks_of(x.shape, self.block)
        whole = whole_blocks(x, blocks)
        scales = blocks.extremes(blocks.cut(whole))
        normal = _normal(blocks.parted(whole), blocks.spread(scales, x.ndim))
        codes = code_of(normal, self.signed, self.bits, threshold(normal, seed, 2.0**-13))
        codes = _sharded_as(x, blocks.joined(codes))
        return (codes if self.bits == 8 else in_halves(codes)), scales

    def decode(self, codes: Array, scales: Array, shape: tuple[int, ...]) -> Array:
        """The array."""
        codes = codes if self.bits == 8 else out_of_halves(codes, shape[-1])
        return _times(number_of(codes, self.signed, self.bits), scales, blocks_of(shape, self.block))


def _sharded_as(x: Array, codes: Array) -> Array:
    """The codes, sharded as the array is, also where shards cut blocks.

    Where the compiler chooses shardings, a choice entry by entry ties the two. What is not a number has a
    scale that is none either.
    """
    codes = sharded_as(x, codes)
    return jnp.where(jnp.isnan(x), jnp.zeros_like(codes), codes)


def _times(numbers: Array, scales: Array, blocks: Blocks) -> Array:
    parts = blocks.parted(whole_blocks(numbers, blocks))
    return sharded_as(numbers, blocks.joined(parts * blocks.spread(scales, numbers.ndim)))


@dataclasses.dataclass(frozen=True)
class Linear4:
    """16 equal steps without 0, for what is not negative; the scale is the least of its axes' largest.

    Reference: Li, Chen, Zhu, 2023, Memory Efficient Optimizers with 4-bit States, arXiv:2309.01507.
    """

    block: int  # of vectors

    @property
    def name(self) -> str:
        """In a few words."""
        return "4-bit"

    def encode(self, x: Array, seed: Array | None = None) -> tuple[Array, Any]:
        """uint8[..., half]; for each axis f32[length], the largest entries."""
        blocks = blocks_of(x.shape, self.block)
        if x.ndim == 1:
            whole = whole_blocks(x, blocks)
            scales: Any = blocks.extremes(blocks.cut(whole))
            normal = blocks.joined(_normal(blocks.parted(whole), blocks.spread(scales, 1)))
        else:
            axes = tuple(range(x.ndim))
            scales = tuple(extreme(x, axes[:axis] + axes[axis + 1 :]) for axis in axes)
            normal = _normal(x, _least(scales))
        rank = jnp.floor(normal * 16 + threshold(normal, seed, 2.0**-18))
        codes = _sharded_as(x, jnp.clip(rank - 1, 0, 15).astype(jnp.uint8))
        return in_halves(codes), scales

    def decode(self, codes: Array, scales: Any, shape: tuple[int, ...]) -> Array:
        """The array."""
        numbers = (out_of_halves(codes, shape[-1]).astype(jnp.float32) + 1) / 16
        if isinstance(scales, tuple):
            return numbers * _least(scales)
        return _times(numbers, scales, blocks_of(shape, self.block))


def _least(scales: tuple[Array, ...]) -> Array:
    """The least of the scales of an entry's row, column, ...: a NaN among them shows."""
    n = len(scales)
    spread = [s.reshape(*(1,) * i, -1, *(1,) * (n - 1 - i)) for i, s in enumerate(scales)]
    least = spread[0]
    for other in spread[1:]:
        least = jnp.minimum(*jnp.broadcast_arrays(least, other))
    return least


@dataclasses.dataclass(frozen=True)
class Float8:
    """float8_e4m3fn, with a scale for each block: its entry of the largest size becomes 448."""

    signed: bool
    block: int

    @property
    def name(self) -> str:
        """In a few words."""
        return "float8"

    def encode(self, x: Array, seed: Array | None = None) -> tuple[Array, Array]:
        """float8_e4m3fn[shape]; f32[blocks], the largest entries."""
        blocks = blocks_of(x.shape, self.block)
        whole = whole_blocks(x, blocks)
        scales = jnp.abs(blocks.extremes(blocks.cut(whole)))
        normal = _normal(blocks.parted(whole), blocks.spread(scales, x.ndim)) * LARGEST
        if not self.signed:
            normal = jnp.where(normal > 0, jnp.maximum(normal, SMALLEST), normal)
        if seed is not None:
            step = spacing(normal, FLOAT8)
            steps = jnp.floor(jnp.abs(normal) / step + threshold(normal, seed, 2.0**-18))
            normal = jnp.copysign(steps * step, normal)
        codes = jnp.clip(normal, -LARGEST, LARGEST).astype(FLOAT8)
        return _sharded_as(x, blocks.joined(codes)), scales

    def decode(self, codes: Array, scales: Array, shape: tuple[int, ...]) -> Array:
        """The array."""
        numbers = codes.astype(jnp.float32) * jnp.float32(1 / LARGEST)  # 1 for the largest
        return _times(numbers, scales, blocks_of(shape, self.block))


@dataclasses.dataclass(frozen=True)
class Rounded:
    """A narrower dtype."""

    dtype: str = "bfloat16"

    @property
    def name(self) -> str:
        """In a few words."""
        return self.dtype

    def encode(self, x: Array, seed: Array | None = None) -> tuple[Array, None]:
        """bfloat16[shape]."""
        if seed is not None:
            x = rounded_at_random(x, seed, self.dtype)
        return x.astype(self.dtype), None

    def decode(self, codes: Array, scales: None, shape: tuple[int, ...]) -> Array:
        """The array."""
        return codes.astype(jnp.float32)


def in_halves(codes: Array) -> Array:
    """Codes of 4 bits, two to a byte along the last axis; a last one without a neighbour is with 0."""
    half = -(-codes.shape[-1] // 2)
    codes = whole_blocks(codes, Blocks(codes.ndim - 1, half, 2, codes.shape[-1]))
    if codes.shape[-1] % 2:
        codes = jnp.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, 1)])
    pairs = codes.reshape(*codes.shape[:-1], -1, 2)
    return jnp.sum(pairs << _places(pairs), -1, dtype=jnp.uint8)


def _places(pairs: Array) -> Array:
    """The places of two codes in a byte, along the last axis."""
    return jnp.asarray([0, 4], jnp.uint8).reshape(*(1,) * (pairs.ndim - 1), 2)


def out_of_halves(halves: Array, last: int) -> Array:
    """The codes in bytes, `last` of them along the last axis."""
    pairs = (halves[..., None] >> _places(halves[..., None])) & jnp.uint8(15)
    return pairs.reshape(*halves.shape[:-1], -1)[..., :last]
