"""Rules for matrices: which axes of an array make one, and many of one shape at once."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ._division import divided, padded
from ._errors import LeafError


class DimensionNumbers(Protocol):
    """Which axes of an array are a matrix's rows and columns; the others count matrices."""

    @property
    def reduction_axis(self) -> Sequence[int] | int: ...

    @property
    def output_axis(self) -> Sequence[int] | int: ...


def _axes(axis: Sequence[int] | int, ndim: int) -> tuple[int, ...]:
    return tuple(a % ndim for a in ((axis,) if isinstance(axis, int) else axis))


class MatrixView(NamedTuple):
    """An array seen as a stack of matrices (matrices, rows, columns)."""

    order: tuple[int, ...]  # the axes: those that count, those of the rows, those of the columns
    sizes: tuple[int, ...]  # the array's shape in that order
    shape: tuple[int, int, int]  # of the stack

    @classmethod
    def of(cls, name: str, shape: Sequence[int], numbers: DimensionNumbers) -> "MatrixView":
        """The view of an array of this shape.

        Raises: LeafError for fewer than two axes, or for an axis of both rows and columns.
        """
        ndim = len(shape)
        if ndim < 2:
            raise LeafError(name, f"{{leaf}} has shape {tuple(shape)}; expected two axes or more.")
        rows, columns = _axes(numbers.reduction_axis, ndim), _axes(numbers.output_axis, ndim)
        if set(rows) & set(columns):
            raise LeafError(
                name,
                f"{{leaf}} has shape {tuple(shape)} and its {numbers!r} name an axis twice; rows and "
                "columns must be different axes.",
            )
        counting = tuple(a for a in range(ndim) if a not in rows + columns)
        order = counting + rows + columns
        sizes = tuple(shape[a] for a in order)
        products = (math.prod(shape[a] for a in axes) for axes in (counting, rows, columns))
        return cls(order, sizes, tuple(products))  # type: ignore[arg-type]

    def stack(self, x: Any) -> jax.Array:
        """The stack of matrices of an array."""
        return jnp.transpose(x, self.order).reshape(self.shape)

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

    def unstack(self, stack: Any) -> jax.Array:
        """The array of a stack of matrices."""
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return jnp.transpose(stack.reshape(self.sizes), back)


def by_shape(f: Callable[[Any], Any], stacks: Sequence[Any]) -> list[Any]:
    """`f` of stacks (matrices, rows, columns), all matrices of one shape and dtype in one call.

    `f` is traced once per shape, and its products are batched. Under `jax.set_mesh` the matrices are
    divided over the devices of the mesh.
    """
    return [u for (u,) in together(lambda x: (f(x),), [(x,) for x in stacks])]


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
