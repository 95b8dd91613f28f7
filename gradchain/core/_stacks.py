"""Arrays seen as stacks of arrays of one shape: axes merged, large axes cut into blocks."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ._matrices import DimensionNumbers, MatrixView


class Cut(NamedTuple):
    """A part of an axis: `count` blocks of `size` entries, one after another."""

    start: int
    count: int
    size: int


class StackView(NamedTuple):
    """An array seen as stacks (arrays, *dims), one for each shape that its blocks have."""

    whole: tuple[int, ...]  # its shape
    matrix: MatrixView | None  # how it is a stack of matrices; None: it is one array
    count: int  # how many arrays of shape `dims`
    dims: tuple[int, ...]  # before they are cut into blocks
    cuts: tuple[tuple[Cut, ...], ...]  # of every axis
    seed: int = 0  # from which the numbers of its arrays follow, for a rule that draws

    @classmethod
    def of(
        cls,
        name: str,
        shape: Sequence[int],
        numbers: DimensionNumbers | None = None,
        *,
        merge: int = 0,
        merge_from_end: bool = False,
        block: int = 0,
    ) -> "StackView":
        """The view of an array of this shape.

        Args:
            name: for errors.
            numbers: which axes are rows and columns; None sees the array as it is, with all its axes.
            merge: neighbouring axes are merged while their product is at most this; 0 merges none.
            merge_from_end: merges from the last axis backward, not from the first forward.
            block: the most entries of an axis in a block; 0 cuts none.
        Raises: LeafError if the dimension numbers do not fit.
        """
        matrix = None if numbers is None else MatrixView.of(name, shape, numbers)
        count, *dims = (
            (1, *(shape or (1,))) if matrix is None else matrix.shape
        )  # a scalar is a vector of one
        if merge:
            dims = merged(dims, merge, merge_from_end)
        return cls(tuple(shape), matrix, count, tuple(dims), tuple(_cuts(size, block) for size in dims))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the stacks."""
        return [
            (self.count * math.prod(cut.count for cut in cuts), *(cut.size for cut in cuts))
            for cuts in itertools.product(*self.cuts)
        ]

    def split(self, x: Any) -> list[jax.Array]:
        """The stacks of an array."""
        x = (x if self.matrix is None else self.matrix.stack(x)).reshape(self.count, *self.dims)
        return [_blocks(x, cuts) for cuts in itertools.product(*self.cuts)]

    def join(self, stacks: Sequence[Any]) -> jax.Array:
        """The array of its stacks."""
        all_cuts = list(itertools.product(*self.cuts))
        parts = [_unblocked(x, self.count, cuts) for x, cuts in zip(stacks, all_cuts, strict=True)]
        for axis in range(len(self.dims), 0, -1):  # the last axis varies fastest
            n = len(self.cuts[axis - 1])
            parts = [
                parts[i] if n == 1 else jnp.concatenate(parts[i : i + n], axis)
                for i in range(0, len(parts), n)
            ]
        (x,) = parts
        return x.reshape(self.whole) if self.matrix is None else self.matrix.unstack(x)


def merged(shape: Sequence[int], most: int, from_end: bool = False) -> list[int]:
    """A shape whose neighbouring axes are merged while their product is at most `most`.

    Axes of size 1 vanish; what is left of an array of one entry is one axis of size 1.
    """
    axes: list[int] = []
    size = 1
    for n in reversed(shape) if from_end else shape:
        if size * n <= most:
            size *= n
        else:
            axes += [size] if size > 1 else []
            size = n
    axes += [size] if size > 1 or not axes else []
    return axes[::-1] if from_end else axes


def _cuts(size: int, block: int) -> tuple[Cut, ...]:
    if not block or size <= block:
        return (Cut(0, 1, size),)
    count, rest = divmod(size, block)
    return (Cut(0, count, block), *([Cut(count * block, 1, rest)] if rest else []))


def _blocks(x: jax.Array, cuts: Sequence[Cut]) -> jax.Array:
    """The blocks of one shape, as one stack."""
    if all(cut.count == 1 and cut.size == n for cut, n in zip(cuts, x.shape[1:], strict=True)):
        return x
    ndim = len(cuts)
    x = x[:, *(slice(cut.start, cut.start + cut.count * cut.size) for cut in cuts)]
    x = x.reshape(len(x), *(n for cut in cuts for n in (cut.count, cut.size)))
    x = x.transpose(0, *range(1, 2 * ndim, 2), *range(2, 2 * ndim + 1, 2))
    return x.reshape(-1, *(cut.size for cut in cuts))


def _unblocked(x: jax.Array, count: int, cuts: Sequence[Cut]) -> jax.Array:
    """The part of `count` arrays that a stack of blocks covers."""
    ndim = len(cuts)
    x = x.reshape(count, *(cut.count for cut in cuts), *(cut.size for cut in cuts))
    x = x.transpose(0, *(axis for i in range(1, ndim + 1) for axis in (i, i + ndim)))
    return x.reshape(count, *(cut.count * cut.size for cut in cuts))
