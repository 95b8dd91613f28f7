"""What differs between versions of JAX: meshes with types of axes, `shard_map`, memories."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding

from ..core.types import Array


def is_explicit(mesh: Any, names: Any = None) -> bool:
    """Whether axes of a mesh, by default all, have the type Explicit; JAX before 0.5 has no types."""
    kind: Any = getattr(jax.sharding, "AxisType", None)
    types = getattr(mesh, "axis_types", None)
    if kind is None or types is None or not mesh.axis_names:
        return False
    if isinstance(types, dict):  # of JAX 0.5: by type
        types = [next(t for t, of in types.items() if name in of) for name in mesh.axis_names]
    known = dict(zip(mesh.axis_names, types, strict=True))
    return all(known[name] == kind.Explicit for name in (mesh.axis_names if names is None else names))


def probing_mesh(axes: int) -> Any:
    """A mesh without devices, with explicit axes of size 1; None where JAX has none.

    One more axis gives it the size of the mesh that is set, without which it could not take its place.
    """
    if not hasattr(jax.sharding, "use_abstract_mesh"):
        return None
    kind: Any = jax.sharding.AxisType
    names = (*(f"axis{i}" for i in range(axes)), "others")
    around = ambient_mesh()
    sizes = (*(1,) * axes, 1 if around is None else around.size)
    return jax.sharding.AbstractMesh(sizes, names, axis_types=(kind.Explicit,) * (axes + 1))  # type: ignore[call-arg]


def ambient_mesh() -> Any:
    """The mesh that is set around this, or None."""
    if hasattr(jax.sharding, "get_abstract_mesh"):
        mesh: Any = jax.sharding.get_abstract_mesh()
        if mesh is not None and mesh.axis_names:
            return mesh
    if hasattr(jax, "set_mesh"):
        return None
    from jax.interpreters import pxla

    resources: Any = getattr(pxla, "thread_resources", None)
    mesh = resources.env.physical_mesh if resources is not None else None
    return None if mesh is None or mesh.empty else mesh


def is_manual(axis: str) -> bool:
    """Whether this runs inside a `shard_map` (or `pmap`) over the axis."""
    if hasattr(jax.sharding, "get_abstract_mesh"):
        mesh: Any = jax.sharding.get_abstract_mesh()
        if mesh is not None and hasattr(mesh, "manual_axes"):
            return axis in mesh.manual_axes
    try:
        jax.lax.axis_index(axis)
    except NameError:
        return False
    return True


def placed(x: Array, sharding: NamedSharding) -> Array:
    """The array with this sharding, in a program or outside of one."""
    if is_explicit(sharding.mesh):
        return jax.sharding.reshard(x, sharding)
    return jax.lax.with_sharding_constraint(x, sharding)


def shard_map(
    f: Callable[..., Any], mesh: Mesh, axis: str, in_specs: Any, out_specs: Any
) -> Callable[..., Any]:
    """`f` on each device's share along one axis of a mesh; the compiler sees to its other axes."""
    if hasattr(jax, "shard_map"):
        return jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, axis_names={axis})
    from jax.experimental.shard_map import shard_map as older

    others = frozenset(mesh.axis_names) - {axis}
    return older(f, mesh, in_specs, out_specs, check_rep=False, auto=others)  # type: ignore[call-arg]


def to_memory(x: Array, kind: str | None) -> Array:
    """The array in another memory of its devices; None for their default one."""
    if isinstance(x, jax.Array) and not isinstance(x, Tracer):
        return jax.device_put(x, x.sharding.with_memory_kind(kind or default_memory(x)))
    memory: Any = getattr(jax, "memory", None)
    if memory is not None:
        return jax.device_put(x, memory.Space.Host if kind == "pinned_host" else memory.Space.Device)
    from jax._src.sharding_impls import TransferToMemoryKind  # type: ignore[attr-defined]

    return jax.device_put(x, TransferToMemoryKind(kind or jax.devices()[0].default_memory().kind))


def is_hosted(x: Any) -> bool:
    """Whether an array lies in another memory than the one in which its devices compute."""
    return isinstance(x, jax.Array) and x.sharding.memory_kind not in (None, default_memory(x))


def memories_in_programs(device: Any) -> list[str]:
    """The kinds of memory of a device to which a program can move its arrays."""
    kinds = [memory.kind for memory in device.addressable_memories()]
    if hasattr(jax, "memory"):
        return [kind for kind in kinds if kind in ("pinned_host", device.default_memory().kind)]
    return kinds


def default_memory(x: Array) -> str:
    """The kind of memory in which an array's devices compute."""
    return next(iter(x.sharding.device_set)).default_memory().kind


def shards(mesh: Any, entry: Any) -> int:
    """Into how many parts an entry of a `PartitionSpec` cuts an axis."""
    names = () if entry is None else (entry,) if isinstance(entry, str) else entry
    return math.prod(mesh.shape[name] for name in names)
