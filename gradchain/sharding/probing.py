"""How `init` answers to parameters of other sizes: what grows with an axis follows it.

Nothing is allocated. A state may depend on sizes in steps: what is factored, which side of a matrix is the
longer one, how many blocks there are. So an axis is made larger and smaller, in each case without passing
another axis of its parameter, and an answer counts only if each array has as many axes as before, and each
of them is as it was or changed in proportion.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import dtype_of
from ..core.types import OptState, Params, PyTree

Shape = tuple[int, ...]


class Answer(NamedTuple):
    """What one array of a state did when an axis of its parameter changed."""

    larger: bool  # whether the axis was made larger
    axes: frozenset[int]  # those of the array that changed with it
    small: bool  # whether it changed by one entry, by which a number of blocks may not change


class Answers:
    """The answers of all arrays of a state.

    Args: init, of a transformation; params; state, its shapes; owners, see `owners`; asked, the numbers of
        the parameters that matter.
    """

    def __init__(
        self,
        init: Callable[[Params], OptState],
        params: Params,
        state: PyTree,
        owners: Sequence[int | None],
        asked: set[int],
    ):
        self.init, self.owners, self.asked = init, owners, asked
        self.leaves, self.treedef = jax.tree.flatten(params)
        self.shapes: list[Shape] = [jnp.shape(p) for p in self.leaves]
        self.keys = list(_shapes(state))
        self.state = list(_shapes(state).values())
        self.given: dict[tuple[int, int], list[Answer]] = {}  # by leaf of the state, and axis of its owner
        self.unclear: set[tuple[int, int, bool]] = (
            set()
        )  # owner, axis, larger: an array of it gave no answer
        axes = max((len(self.shapes[i]) for i in asked), default=0)
        for axis in range(axes):
            for larger in (True, False):
                self._ask(axis, larger)

    def _ask(self, axis: int, larger: bool) -> None:
        """Changes one axis of all parameters that are asked about."""
        sizes = {i: _other_size(self.shapes[i], axis, larger) for i in self.asked}
        sizes = {i: size for i, size in sizes.items() if size is not None}
        if not sizes:
            return
        changed = [
            _like(p, (*s[:axis], sizes[i], *s[axis + 1 :])) if i in sizes else p
            for i, (p, s) in enumerate(zip(self.leaves, self.shapes, strict=True))
        ]
        try:
            now = _shapes(jax.eval_shape(self.init, self.treedef.unflatten(changed)))
        except Exception:  # these sizes do not do, for any reason
            return
        for j, (key, owner) in enumerate(zip(self.keys, self.owners, strict=True)):
            if owner not in sizes:
                continue
            ratio = Fraction(sizes[owner], self.shapes[owner][axis])
            axes = _changed(self.state[j], now.get(key), ratio)
            if axes is None:
                self.unclear.add((owner, axis, larger))
            else:
                small = abs(sizes[owner] - self.shapes[owner][axis]) == 1
                self.given.setdefault((j, axis), []).append(Answer(larger, axes, small))

    def tied(self, owner: int, axis: int) -> bool:
        """Whether another axis of a parameter has the size of this one."""
        return self.shapes[owner].count(self.shapes[owner][axis]) > 1

    def followers(self, leaf: int, axis: int) -> frozenset[int] | None:
        """The axes of a leaf that follow this one of its parameter; None if the answers do not say.

        Where two axes are of one size, either change may decide between them otherwise than the state
        did, so that both have to agree.
        """
        found = self._heard(leaf, axis)
        same = len({answer.axes for answer in found}) == 1
        owner = self.owners[leaf]
        assert owner is not None
        if same and (len(found) == 2 or not self.tied(owner, axis)):
            return found[0].axes
        return None

    def _heard(self, leaf: int, axis: int) -> list[Answer]:
        """The answers that count. That one entry more changes nothing is none for what counts blocks."""
        found = self.given.get((leaf, axis), [])
        owner = self.owners[leaf]
        assert owner is not None
        size = self.shapes[owner][axis]
        parts = {k for answer in found for k in answer.axes if self.state[leaf][k] != size}
        return [answer for answer in found if answer.axes or not (answer.small and parts)]

    def likely(self, leaf: int, axis: int) -> frozenset[int]:
        """The same, from the one change to which every array of the parameter gave an answer."""
        owner = self.owners[leaf]
        found = [
            answer
            for answer in self.given.get((leaf, axis), [])
            if (owner, axis, answer.larger) not in self.unclear
        ]
        return found[0].axes if len(found) == 1 else frozenset()


def _shapes(tree: PyTree) -> dict[str, Shape]:
    """The shapes of a tree's arrays, by path."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in leaves}


def _like(p: Any, shape: Shape) -> Any:
    return jax.ShapeDtypeStruct(shape, dtype_of(p))


def _other_size(shape: Shape, axis: int, larger: bool) -> int | None:
    """Another size of an axis that is as before larger or smaller than each axis of another size."""
    if axis >= len(shape) or shape[axis] < 2:
        return None
    size = shape[axis]
    others = {other for other in shape if other != size}
    if larger:
        tries = [2 * size, size + 1]
    else:
        tries = [size // 2, size - 1] if size % 2 == 0 else [size - 1]

    def keeps_order(new: int) -> bool:
        return all((new > other) == (size > other) and new != other for other in others)

    return next((new for new in tries if keeps_order(new)), None)


def _changed(before: Shape, now: Shape | None, ratio: Fraction) -> frozenset[int] | None:
    """The axes that changed by the ratio; None unless all others are as before.

    One of length 1 cannot have followed a longer one: then something else was decided anew.
    """
    if now is None or len(now) != len(before):
        return None
    changed = {i for i, (old, new) in enumerate(zip(before, now, strict=True)) if old != new}
    fits = all(before[i] > 1 and now[i] == before[i] * ratio for i in changed)
    return frozenset(changed) if fits else None
