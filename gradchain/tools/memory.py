"""What the state of a transformation takes, without allocating it."""

from typing import Any, NamedTuple

import jax
import numpy as np

from ..core import GradientTransformation, Part, parts, state_at
from ..core.types import Params, PyTree


class Memory(NamedTuple):
    """The bytes of a state."""

    parts: dict[str, int]  # by the names of `core.parts`: what each call keeps itself, in bytes
    total: int  # of the whole state, in bytes
    params: int  # of the parameters, in bytes

    @property
    def multiple(self) -> float:
        """The state in multiples of the parameters; 0 where there are none."""
        return self.total / self.params if self.params else 0.0

    def __str__(self) -> str:
        width = max(map(len, self.parts), default=0)
        lines = [f"{name:{width}}  {human(size)}" for name, size in self.parts.items()]
        return "\n".join([*lines, f"{human(self.total)} in all, {self.multiple:.2f} x the parameters"])


def memory(tx: GradientTransformation, params: Params) -> Memory:
    """The bytes that the state of a transformation takes for these parameters, in all and for each call.

        print(memory(chain(clip_by_global_norm(1.0), adamw(1e-3)), params))

    Args: tx; params, arrays or `jax.ShapeDtypeStruct`s. Nothing is allocated: `init` is only traced.
    Returns: `Memory(parts, total, params)`. The parts add up to the total.
    """
    state = jax.eval_shape(tx.init, params)
    calls = parts(tx)
    whole = {part.name: size_of(state_at(state, part.place)) for part in calls}
    own = dict(whole)
    for outer in calls:
        own[outer.name] -= sum(whole[inner.name] for inner in calls if _is_child(inner, outer, calls))
    return Memory(own, size_of(state), size_of(params))


def _is_child(inner: Part, outer: Part, calls: list[Part]) -> bool:
    """Whether a call stands in another one, with none in between."""

    def stands_in(a: Part, b: Part) -> bool:
        return a is not b and a.where[: len(b.where)] == b.where

    between = (p for p in calls if stands_in(inner, p) and stands_in(p, outer))
    return stands_in(inner, outer) and next(between, None) is None


def size_of(tree: PyTree) -> int:
    """The bytes of the arrays of a tree, which may be shapes."""
    return sum(
        _entrysize_of(x) * int(np.prod(x.shape)) for x in jax.tree.leaves(tree) if hasattr(x, "dtype")
    )


def _entrysize_of(x: Any) -> int:
    return 0 if x.dtype == jax.dtypes.float0 else x.dtype.itemsize


def human(size: int) -> str:
    """A number of bytes in three digits."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}"
