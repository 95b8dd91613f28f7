"""Rules for matrices: which axes of an array make one, and many of one shape at once."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ._division import divided, padded
from ._errors import LeafError
from ._typed import typed_like, uncut


class DimensionNumbers(Protocol):
    """Which axes of an array are a matrix's rows and columns; the others count matrices.

    `reduction_splits` and `output_splits`, if there, cut rows and columns into that many matrices.
    """

    @property
    def reduction_axis(self) -> Sequence[int] | int: ...

    @property
    def output_axis(self) -> Sequence[int] | int: ...


class MatrixView(NamedTuple):
    """An array seen as a stack of matrices (matrices, rows, columns)."""

    order: tuple[int, ...]  # the axes: those that count, those of the rows, those of the columns
    sizes: tuple[int, ...]  # the array's shape in that order
    whole: tuple[int, int, int]  # of the stack, before rows and columns are split
    splits: tuple[int, int] = (1, 1)  # how many matrices the rows and the columns are split into

    @classmethod
    def of(cls, name: str, shape: Sequence[int], numbers: DimensionNumbers) -> "MatrixView":
        """The view of an array of this shape.

        Raises: LeafError for fewer than two axes, for axes that the array lacks, for an axis of both rows
            and columns, and where rows or columns cannot be split evenly.
        """
        ndim, shape = len(shape), tuple(shape)
        if ndim < 2:
            raise LeafError(name, f"{{leaf}} has shape {shape}; expected two axes or more.")
        rows, columns = (
            tuple(axis) if isinstance(axis, Sequence) else (axis,)
            for axis in (numbers.reduction_axis, numbers.output_axis)
        )
        if any(not -ndim <= a < ndim for a in rows + columns):
            raise LeafError(
                name, f"{{leaf}} has shape {shape} and its {numbers!r} name an axis that it lacks."
            )
        rows, columns = (tuple(a % ndim for a in axes) for axes in (rows, columns))
        if len(set(rows + columns)) < len(rows + columns):
            raise LeafError(
                name,
                f"{{leaf}} has shape {shape} and its {numbers!r} name an axis twice; rows and "
                "columns must be different axes.",
            )
        counting = tuple(a for a in range(ndim) if a not in rows + columns)
        order = counting + rows + columns
        stacked, r, c = (math.prod(shape[a] for a in axes) for axes in (counting, rows, columns))
        splits = getattr(numbers, "reduction_splits", 1), getattr(numbers, "output_splits", 1)
        if r % splits[0] or c % splits[1]:
            raise LeafError(
                name,
                f"{{leaf}} has shape {shape}, a matrix of {r} x {c}, which its {numbers!r} cannot split "
                "evenly.",
            )
        return cls(order, tuple(shape[a] for a in order), (stacked, r, c), splits)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the stack."""
        (stacked, r, c), (m, n) = self.whole, self.splits
        return stacked * m * n, r // m, c // n

    def stack(self, x: Any) -> jax.Array:
        """The stack of matrices of an array."""
        x = jnp.transpose(x, self.order).reshape(self.whole)
        if self.splits != (1, 1):
            (stacked, r, c), (m, n) = self.whole, self.splits
            x = x.reshape(stacked, m, r // m, n, c // n).transpose(0, 1, 3, 2, 4).reshape(self.shape)
        return x

    def unstack(self, stack: Any) -> jax.Array:
        """The array of a stack of matrices."""
        if self.splits != (1, 1):
            (stacked, r, c), (m, n) = self.whole, self.splits
            stack = stack.reshape(stacked, m, n, r // m, c // n).transpose(0, 1, 3, 2, 4)
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return jnp.transpose(stack.reshape(self.sizes), back)

    @property
    def is_tall(self) -> bool:
        """Whether the matrices have more rows than columns."""
        return self.shape[1] > self.shape[2]

    def stack_wide(self, x: Any) -> jax.Array:
        """The stack of matrices, transposed if they are tall."""
        return jnp.swapaxes(self.stack(x), 1, 2) if self.is_tall else self.stack(x)

    def unstack_wide(self, stack: Any) -> jax.Array:
        """The array of a stack of matrices that were transposed if they are tall."""
        return self.unstack(jnp.swapaxes(stack, 1, 2) if self.is_tall else stack)


def by_shape(f: Callable[[Any], Any], stacks: Sequence[Any]) -> list[Any]:
    """`f`, which keeps shapes, of stacks (matrices, rows, columns), all of one shape and dtype in one call.

    `f` is traced once per shape, and its products are batched. Under `jax.set_mesh` the matrices are
    divided over the devices of the mesh.
    """
    given = list(stacks)
    done = [u for (u,) in together(lambda x: (f(x),), [(x,) for x in uncut(given)])]
    return typed_like(done, given)


def together(f: Callable[..., Any], rows: Sequence[Any]) -> list[Any]:
    """`f(*row)` of every row, all rows of one structure, shapes and dtypes in one call.

    Args:
        f: takes and gives trees of stacks, arrays whose first axis counts.
        rows: tuples of such trees. In a row all first axes are equal.
    Returns: for each row what `f` gives.
    """
    groups: dict[Any, list[int]] = {}
    for i, row in enumerate(rows):
        leaves, treedef = jax.tree.flatten(row)
        groups.setdefault((treedef, *((x.shape[1:], x.dtype) for x in leaves)), []).append(i)
    results: list[Any] = [None] * len(rows)
    for members in groups.values():
        sizes = [len(jax.tree.leaves(rows[i])[0]) for i in members]
        stacked = jax.tree.map(_stacked, *(rows[i] for i in members))
        done = f(*divided(jax.tree.map(padded, stacked)))
        leaves, treedef = jax.tree.flatten(done)
        parts = [_parts(x, sizes) for x in leaves]
        for place, i in enumerate(members):
            results[i] = treedef.unflatten([part[place] for part in parts])
    return results


def _parts(x: jax.Array, sizes: Sequence[int]) -> Sequence[jax.Array]:
    """A stack cut into stacks of these sizes; what follows them was added to fill it."""
    whole = sum(sizes)
    x = x if len(x) == whole else x[:whole]
    return [x] if len(sizes) == 1 else jax.lax.split(x, sizes)


def _stacked(*xs: Any) -> Any:
    return xs[0] if len(xs) == 1 else jnp.concatenate(xs)
