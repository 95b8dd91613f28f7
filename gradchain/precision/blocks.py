"""Blocks of an array that share a scale: parts of its trailing axes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core.types import Array


class Blocks(NamedTuple):
    """How an array is cut: `axis` into `number` parts of `size`, each with all of the axes after it.

    No axis is merged with another, so what is sharded along axes stays so. The last part may be shorter.
    """

    axis: int
    number: int
    size: int
    length: int  # of the axis

    @property
    def padding(self) -> int:
        """What the last part lacks."""
        return self.number * self.size - self.length

    def cut(self, x: Array) -> Array:
        """The array with its axis in two: parts, and entries of a part. What the last one lacks is 0."""
        if self.number == 1:
            return jnp.expand_dims(x, self.axis)
        if self.padding:
            x = jnp.pad(x, [(0, self.padding if i == self.axis else 0) for i in range(x.ndim)])
        return x.reshape(*x.shape[: self.axis], self.number, self.size, *x.shape[self.axis + 1 :])

    def parted(self, x: Array) -> Array:
        """The same where parts are equal; else the array as it is, for padding would make a copy of it."""
        return x if self.padding else self.cut(x)

    def joined(self, x: Array) -> Array:
        """The array that `parted` gave, as it was."""
        if self.padding:
            return x
        if self.number == 1:
            return jnp.squeeze(x, self.axis)
        return x.reshape(*x.shape[: self.axis], self.length, *x.shape[self.axis + 2 :])

    def spread(self, scales: Array, ndim: int) -> Array:
        """The scales, to go with what `parted` gives of an array with `ndim` axes."""
        if not self.padding:
            return scales.reshape(*scales.shape, *(1,) * (ndim - self.axis))
        before = scales.shape[:-1]
        each = jnp.broadcast_to(scales[..., None], (*before, self.number, self.size))
        along = each.reshape(*before, self.number * self.size)[..., : self.length]
        return along.reshape(*along.shape, *(1,) * (ndim - self.axis - 1))

    def extremes(self, parts: Array) -> Array:
        """The entry of the largest size in each part, with its sign.

        A part's scale has a sign so that this entry is exact: maps have 1, but not -1.
        """
        return extreme(parts, tuple(range(self.axis + 1, parts.ndim)))


def extreme(x: Array, axes: tuple[int, ...]) -> Array:
    """Along some axes of float32, the entry of the largest size with its sign; NaN if there is one.

    By integers: the bits, with the sign as the last one. XLA's fastest maximum on CPUs leaves out NaN.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    one, rest = jnp.uint32(1), jnp.uint32(31)
    most = jnp.max((bits << one) | (bits >> rest), axes)
    return jax.lax.bitcast_convert_type((most >> one) | (most << rest), jnp.float32)


def blocks_of(shape: tuple[int, ...], most: int) -> Blocks:
    """The blocks of an array that is not empty and no scalar, of at most `most` entries if one axis allows.

    They run along the last axis; where it is shorter than a block, along the last one before it whose
    entries, with all that follow, fill one. The parts of an axis are as equal as can be.
    """
    axis, inner = len(shape) - 1, 1
    while axis > 0 and inner * shape[axis] < most:
        inner *= shape[axis]
        axis -= 1
    length = shape[axis]
    size = min(max(most // inner, 1), length)
    size = -(-length // -(-length // size))
    return Blocks(axis, int(np.ceil(length / size)), size, length)
