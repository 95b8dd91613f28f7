"""Shardings in the types of arrays, on meshes of explicit axes: what no type can say is computed whole."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec

from .types import PyTree


def sharding_in_type(x: Any) -> Any:
    """The sharding in the type of an array, if that says one; JAX before 0.6 knows none."""
    if not (hasattr(jax, "typeof") and hasattr(jax.sharding, "reshard")):
        return None
    found: Any = getattr(jax.typeof(x), "sharding", None)
    return found if found is not None and any(part is not None for part in found.spec) else None


def resharded(x: Any, entries: Sequence[Any], mesh: Any = None) -> Any:
    """The array with another sharding in its type, on its own mesh; none needs to be set."""
    if not isinstance(x, Tracer):
        mesh = getattr(x.sharding, "mesh", mesh)
    if mesh is None:
        mesh = jax.typeof(x).sharding.mesh
    return jax.sharding.reshard(x, NamedSharding(mesh, PartitionSpec(*entries)))


def uncut(tree: PyTree) -> PyTree:
    """The arrays of a tree, each on every device where its type says that it is cut.

    Products of matrices that are cut along the axis that is summed over, singular vectors, and much else
    have no type: JAX asks for the result's sharding. Here the answer is that of whole arrays.
    """

    def of_array(x: Any) -> Any:
        return resharded(x, [None] * x.ndim) if sharding_in_type(x) is not None else x

    return jax.tree.map(of_array, tree)


def typed_like(tree: PyTree, like: PyTree) -> PyTree:
    """The arrays of a tree with the shardings in the types of others of their shapes, if any."""

    def of_array(x: Any, like: Any) -> Any:
        sharding = sharding_in_type(like)
        return x if sharding is None else resharded(x, sharding.spec, sharding.mesh)

    return jax.tree.map(of_array, tree, like)
