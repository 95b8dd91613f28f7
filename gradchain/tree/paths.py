"""The names of the leaves of a tree: one spelling for every kind of container."""

from typing import Any

import jax
from jax.tree_util import KeyPath

from ..core.types import PyTree
from .boxes import is_box


def path_name(path: KeyPath) -> str:
    """A key path as text: 'encoder/layers/0/kernel'; '' for a tree that is one array."""
    return "/".join(str(word(key)) for key in path)


def paths(tree: PyTree) -> PyTree:
    """A tree of the same structure, with the name of each leaf in its place.

        paths({"encoder": [{"kernel": w}]})  # {"encoder": [{"kernel": "encoder/0/kernel"}]}

    Keys of dicts, fields of dataclasses and modules, and positions in lists are joined by "/". The boxes
    that Flax puts around arrays (`nnx.Param`, `nn.Partitioned`) add nothing, so a model has the same names
    as a dict, a dataclass, an `nnx.State` or an Equinox module.

    Args: tree, any pytree; None is no leaf.
    """

    def named(path: KeyPath, node: Any) -> Any:
        return jax.tree.map(lambda leaf: path_name(path), node)

    return jax.tree_util.tree_map_with_path(named, tree, is_leaf=is_box)


def leaves_with_path(tree: PyTree) -> list[tuple[KeyPath, Any]]:
    """The leaves of a tree in order, each with its key path, to which Flax's boxes add nothing."""
    nodes = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_box)[0]
    return [(path, leaf) for path, node in nodes for leaf in jax.tree.leaves(node)]


def word(key: Any) -> Any:
    """What a key of a path is called."""
    return next((getattr(key, a) for a in ("key", "name", "idx") if hasattr(key, a)), key)
