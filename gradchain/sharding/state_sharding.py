"""Where the arrays of any transformation's state lie, given where the parameters do."""

from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from ..core import GradientTransformation, with_extra_args_support
from ..core.types import OptState, Params, PyTree
from ._compat import ambient_mesh
from .laying import laid, made_in_place, with_memory
from .specs import carried, checked, spec_of


def state_sharding(
    tx: GradientTransformation, params: Params, shardings: PyTree = None, *, memory_kind: str | None = None
) -> PyTree:
    """The sharding of each array in the state of any transformation: a tree like `tx.init(params)`.

        step = jax.jit(tx.step, out_shardings=(shardings, state_sharding(tx, params, shardings)))

    Nothing is allocated: `init` is traced, also with other sizes, to see which axis of an array follows
    which axis of its parameter. Rows, columns, factors, projections, codes of few bits and their scales are
    sharded along the axes that they share with their parameter. Scalars, and what follows no axis, are
    replicated; so is a dimension that the axes of the mesh do not divide, and one where nothing tells which
    of two equal ones it follows. A mesh axis is used once: a square factor is sharded by rows.

    Args:
        tx: any transformation, of any library. Wrappers that place their state, such as `zero1`, are asked.
        params: arrays or `jax.ShapeDtypeStruct`s.
        shardings: a tree like the parameters, or a prefix of it, of `NamedSharding`s or of
            `PartitionSpec`s; None for those that `params` carry.
        memory_kind: of arrays that are not scalars, such as "pinned_host"; None for the parameters'.

    Returns: NamedShardings, or PartitionSpecs if `shardings` has them. Those are checked against the mesh
        that is set (`jax.set_mesh`), if one is.
    Raises: ValueError for shardings of another structure, for a spec with too many dimensions, an axis that
        is not in the mesh, one that does not divide its dimension, different meshes; TypeError for what is
        no sharding, or where there is none.
    """
    who = "state_sharding"
    pair = with_extra_args_support(tx)
    given = carried(who, params) if shardings is None else checked(who, shardings, params)
    plain = any(isinstance(s, PartitionSpec) for s in given)
    if plain and memory_kind is not None:
        raise TypeError(f"{who}: memory_kind needs NamedShardings; a PartitionSpec has no memory.")
    state = jax.eval_shape(pair.init, params)
    found = laid(pair, params, given, state, ambient_mesh() if plain else None)
    found = _on_one_mesh(who, found, state)
    if memory_kind is not None:
        found = jax.tree.map(lambda x, s: with_memory(s, x, memory_kind), state, found)
    return jax.tree.map(lambda _, s: spec_of(s), state, found) if plain else found


def init_sharded(
    tx: GradientTransformation, params: Params, shardings: PyTree = None, *, memory_kind: str | None = None
) -> OptState:
    """The state of `tx`, made where it will lie: no device ever has more than its part.

    The same as `tx.init(params)`, as one program whose results have `state_sharding`'s shardings.
    Parameters that do not lie as `shardings` say are put there first.

    Args: see `state_sharding`; params, arrays. With PartitionSpecs, a mesh must be set (`jax.set_mesh`).
    Raises: what `state_sharding` raises; TypeError for PartitionSpecs where no mesh is set.
    """
    who = "init_sharded"
    given = None
    if shardings is not None:
        given = checked(who, shardings, params)
        if any(isinstance(s, PartitionSpec) for s in given):
            given = [NamedSharding(_set_mesh(who), s) for s in given]
        leaves, treedef = jax.tree.flatten(params)
        params = treedef.unflatten(map(_put, leaves, given))
        given = treedef.unflatten(given)
    places = state_sharding(tx, params, given, memory_kind=memory_kind)
    return made_in_place(tx.init, params, places)


def _set_mesh(who: str) -> Any:
    """The mesh that is set, with its devices."""
    mesh = jax.sharding.get_mesh() if hasattr(jax.sharding, "get_mesh") else ambient_mesh()
    if mesh is None or not mesh.axis_names:
        raise TypeError(
            f"{who}: PartitionSpecs need a mesh: set one (jax.set_mesh(mesh)), or give NamedShardings."
        )
    return mesh


def _put(p: Any, sharding: NamedSharding) -> Any:
    if isinstance(p, jax.ShapeDtypeStruct):
        return p
    if isinstance(p, jax.Array) and p.sharding.is_equivalent_to(sharding, p.ndim):
        return p
    return jax.device_put(p, sharding)


def _on_one_mesh(who: str, found: PyTree, state: PyTree) -> PyTree:
    """What lies on no mesh is replicated over that of the others.

    Raises: TypeError if there is neither a mesh nor a device.
    """
    treedef = jax.tree.structure(state)
    leaves = treedef.flatten_up_to(found)
    mesh = next((s.mesh for s in leaves if isinstance(s, NamedSharding)), None)
    if mesh is not None:
        kinds = (NamedSharding, PartitionSpec)
        whole = NamedSharding(mesh, PartitionSpec())
        leaves = [s if isinstance(s, kinds) else whole for s in leaves]
    if any(s is None for s in leaves):
        raise TypeError(
            f"{who}: there are no shardings: the parameters carry none. Give shardings=, a tree like the "
            "parameters of NamedShardings or PartitionSpecs."
        )
    return treedef.unflatten(leaves)
