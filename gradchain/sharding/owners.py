"""Which parameter each array of a state is kept for, whatever its shape."""

from collections.abc import Callable, Mapping

import jax
from jax.tree_util import KeyPath

from ..core.types import OptState, Params
from ..tree.paths import leaves_with_path, path_name
from ..tree.placeholder import is_placeholder, placeholder


def owners(init: Callable[[Params], OptState], params: Params, state: OptState) -> list[int | None]:
    """For each leaf of a state, the number of its parameter among the leaves of `params`, or None.

    A state has the placeholder where it has a tree like the parameters; what stands below one of them, an
    array or several, is kept for it. Where `init` stops the placeholder, paths tell.
    """
    numbers = {path_name(path): i for i, (path, _) in enumerate(leaves_with_path(params))}
    try:
        pattern = init(placeholder())
        marks, treedef = jax.tree.flatten(pattern, is_leaf=is_placeholder)
        values = treedef.flatten_up_to(state)
    except Exception:  # another library's `init` may fail at a placeholder in any way
        return [_by_name(path, numbers) for path, _ in leaves_with_path(state)]
    found: list[int | None] = []
    for mark, value in zip(marks, values, strict=True):
        if is_placeholder(mark):
            found += [_below(path, numbers) for path, _ in leaves_with_path(value)]
        else:
            found += [None for _ in jax.tree.leaves(value)]
    return found


def _below(path: KeyPath, numbers: Mapping[str, int]) -> int | None:
    """The parameter that is the longest beginning of a path."""
    names = (path_name(path[:stop]) for stop in range(len(path), -1, -1))
    return next((numbers[name] for name in names if name in numbers), None)


def _by_name(path: KeyPath, numbers: Mapping[str, int]) -> int | None:
    """The parameter whose path stands nearest to the end of a path, the longest of several."""
    for stop in range(len(path), 0, -1):
        for start in range(stop + 1):
            name = path_name(path[start:stop])
            if name in numbers:
                return numbers[name]
    return None
