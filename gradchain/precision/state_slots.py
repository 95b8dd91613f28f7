"""The arrays of a state that are kept for each parameter: whose they are, and which slots they are in."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.tree_util import KeyPath

from ..core.types import OptState, Params
from ..tree.paths import leaves_with_path, path_name, word
from ..tree.placeholder import is_placeholder, placeholder


class StateLeaf(NamedTuple):
    """A leaf of a state."""

    owner: str  # the class of the state that has the slot: "ScaleByAdamState"
    slot: str  # the slot, by the name of its field: "mu"; "" for what is no tree like the parameters
    parameter: str | None  # the parameter that it is kept for, if it has its shape
    value: Any


def state_leaves(init: Callable[[Params], OptState], params: Params, state: OptState) -> list[StateLeaf]:
    """The leaves of a state, in order, with the slots that they are in.

    Args: init, made the state, from these parameters.
    """
    shapes = {path_name(path): jax.numpy.shape(leaf) for path, leaf in leaves_with_path(params)}
    try:
        pattern = init(placeholder())
        marked, treedef = jax.tree_util.tree_flatten_with_path(pattern, is_leaf=is_placeholder)
        values = treedef.flatten_up_to(state)
    except Exception:  # another library's `init` may fail at a placeholder in any way
        return [_by_name(state, path, leaf, shapes) for path, leaf in leaves_with_path(state)]
    found: list[StateLeaf] = []
    for (path, mark), value in zip(marked, values, strict=True):
        owner, slot = _field(state, path)
        if not is_placeholder(mark):
            found += [StateLeaf(owner, "", None, leaf) for leaf in jax.tree.leaves(value)]
            continue
        for below, leaf in leaves_with_path(value):
            found.append(StateLeaf(owner, slot, _parameter(path_name(below), leaf, shapes), leaf))
    return found


def _by_name(state: OptState, path: KeyPath, leaf: Any, shapes: dict[str, Any]) -> StateLeaf:
    """A leaf of a state that shows no pattern: its path ends with that of its parameter."""
    for start in range(1, len(path) + 1):
        parameter = _parameter(path_name(path[start:]), leaf, shapes)
        if parameter is not None:
            return StateLeaf(*_field(state, path[:start]), parameter, leaf)
    return StateLeaf(*_field(state, path), None, leaf)


def _parameter(name: str, leaf: Any, shapes: dict[str, Any]) -> str | None:
    """The parameter of this name, if the leaf has its shape, or is a stack of such."""
    if name not in shapes:
        return None
    shape, own = shapes[name], jax.numpy.shape(leaf)
    stacked = len(shape) > 0 and own[1:] == shape
    return name if own == shape or stacked else None


def _field(state: OptState, path: KeyPath) -> tuple[str, str]:
    """The class of the innermost state on a path, and the name of its field; of a dict, its key."""
    owner, name, node = "", "", state
    for key in path:
        step = word(key)
        if isinstance(step, str):
            owner, name = type(node).__name__, step
        node = node[step] if not isinstance(step, str) or isinstance(node, dict) else getattr(node, step)
    return owner, name
