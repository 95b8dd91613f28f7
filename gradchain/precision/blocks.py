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

    def joined(self, x: Array) -> Array:
        """The array that `cut` gave, as it was."""
        if self.number == 1:
            return jnp.squeeze(x, self.axis)
        x = x.reshape(*x.shape[: self.axis], self.number * self.size, *x.shape[self.axis + 2 :])
        return x[(slice(None),) * self.axis + (slice(self.length),)] if self.padding else x

    def spread(self, scales: Array, ndim: int) -> Array:
        """The scales, to go with the array that `cut` gives of one with `ndim` axes."""
        return scales.reshape(*scales.shape, *(1,) * (ndim - self.axis))

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
