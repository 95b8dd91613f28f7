"""Access to parts of a state by name, at any depth."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax

from ..core import nearest
from ..core.types import PyTree

KeyPath = tuple[Any, ...]
Filter = Callable[[KeyPath, Any], bool]


@dataclasses.dataclass(frozen=True)
class NamedTupleKey:
    """The step of a path into a field of a NamedTuple: which class, which field."""

    tuple_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.tuple_name}.{self.name}"


def _is_named_tuple(node: Any) -> bool:
    return isinstance(node, tuple) and hasattr(node, "_fields")


def _children(node: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """The children of a node, each with its step of the path, and the treedef to rebuild the node."""
    below, treedef = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda x: x is not node)
    if any(not path for path, _ in below):
        return [], treedef  # a leaf
    children = [(path[0], child) for path, child in below]
    if _is_named_tuple(node) and len(children) == len(node._fields):
        keys = [NamedTupleKey(type(node).__name__, field) for field in node._fields]
        children = [(key, child) for key, (_, child) in zip(keys, children, strict=True)]
    return children, treedef


def _name(step: Any) -> Any:
    """The name of a step for a search; None for a position."""
    if isinstance(step, NamedTupleKey):
        return step.name
    return step.key if isinstance(step, jax.tree_util.DictKey) else None


def _walk(node: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every node below and including this one, with its path."""
    yield path, node
    for step, child in _children(node)[0]:
        yield from _walk(child, (*path, step))


def _names(path: KeyPath, node: Any) -> list[Any]:
    """The names of a node for a search: its key or field, and its class."""
    names = [] if not path or _name(path[-1]) is None else [_name(path[-1])]
    return names + ([type(node).__name__] if _is_named_tuple(node) else [])


def _show(path: KeyPath) -> str:
    return "".join(f".{p.name}" if isinstance(p, NamedTupleKey) else str(p) for p in path)


def _absent(who: str, tree: PyTree, key: Any, filtering: Filter | None) -> KeyError:
    known = list(dict.fromkeys(str(n) for node in _walk(tree) for n in _names(*node)))
    unfiltered = [_show(path) for path, _ in get_all_with_path(tree, key)]
    if filtering and unfiltered:
        return KeyError(f"{who}: the filter rejects every {key!r}, at {', '.join(unfiltered)}.")
    return KeyError(
        f"{who}: no {key!r} in the tree; it has {', '.join(known) or 'no names'}."
        + nearest(str(key), known)
    )


def get_all_with_path(tree: PyTree, key: Any, filtering: Filter | None = None) -> list[tuple[KeyPath, Any]]:
    """All values in a tree with this name, and their paths.

    Args:
        tree: usually the state of a transformation.
        key: the name of a field of a NamedTuple, of a NamedTuple's class, or a key of a dict.
        filtering: `filtering(path, value) -> bool`, which of them to return.

    Returns: pairs (path, value); a path is a tuple of steps, `NamedTupleKey` or JAX's own.
    """
    return [
        (path, node)
        for path, node in _walk(tree)
        if key in _names(path, node) and (filtering is None or filtering(path, node))
    ]


def get(tree: PyTree, key: Any, default: Any = None, filtering: Filter | None = None) -> Any:
    """The only value in a tree with this name.

    `get(opt_state, "mu")`; `get(opt_state, "learning_rate")` with injected hyperparameters.

    Args:
        tree, key, filtering: see `get_all_with_path`.
        default: what to return if there is none.

    Raises: KeyError, with the paths, if there are several.
    """
    found = get_all_with_path(tree, key, filtering)
    if len(found) > 1:
        paths = ", ".join(_show(path) for path, _ in found)
        raise KeyError(
            f"get: {key!r} is in the tree {len(found)} times, at {paths}. Choose one by filtering, "
            "or call get_all_with_path."
        )
    return found[0][1] if found else default


def set(tree: PyTree, filtering: Filter | None = None, /, **kwargs: Any) -> PyTree:
    """The tree with all values of these names replaced: `set(opt_state, learning_rate=1e-4)`.

    Args:
        tree: usually the state of a transformation.
        filtering: `filtering(path, value) -> bool`, which of them to replace.
        kwargs: the names, see `get_all_with_path`, and the new values.

    Raises: KeyError, with the names in the tree, for a name that is not one of them.
    """
    for key in kwargs:
        if not get_all_with_path(tree, key, filtering):
            raise _absent("set", tree, key, filtering)

    def replaced(path: KeyPath, node: Any) -> Any:
        for name in reversed(_names(path, node)):  # the class first, then the field that holds it
            if name in kwargs and (filtering is None or filtering(path, node)):
                return kwargs[name]
        children, treedef = _children(node)
        new = [replaced((*path, step), child) for step, child in children]
        return jax.tree.unflatten(treedef, new) if children else node

    return replaced((), tree)
