"""The shardings that users give for their parameters, one for each, checked."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec

from ..core import tree_mismatch
from ..core._errors import nearest
from ..core.types import Params, PyTree
from ..tree.paths import leaves_with_path, path_name
from ._compat import ambient_mesh, shards


def is_spec(x: Any) -> bool:
    """Whether a tree of shardings ends here."""
    return x is None or isinstance(x, (PartitionSpec, jax.sharding.Sharding))


def each(who: str, what: str, given: PyTree, params: Params) -> list[Any]:
    """What is given for each parameter, in order; `given` is a tree like the parameters or a prefix of it.

    Raises: ValueError, with paths, for another structure.
    """
    found: list[Any] = []

    def below(spec: Any, part: Params) -> None:
        found.extend(spec for _ in jax.tree.leaves(part))

    try:
        jax.tree.map(below, given, params, is_leaf=is_spec)
    except ValueError:
        raise tree_mismatch(who, what, given, "parameters", params) from None
    return found


def checked(who: str, given: PyTree, params: Params) -> list[Any]:
    """The sharding of each parameter: all of one kind, on one mesh, and such that they fit.

    None, as jit has it for what is left to the compiler, is replicated here.
    Raises: TypeError or ValueError, with the parameter's path.
    """
    found = each(who, "shardings", given, params)
    names = [_shown(path) for path, _ in leaves_with_path(params)]
    shapes = [jnp.shape(p) for p in jax.tree.leaves(params)]
    for name, sharding in zip(names, found, strict=True):
        if not isinstance(sharding, (NamedSharding, PartitionSpec, type(None))):
            raise TypeError(
                f"{who}: the sharding of parameter {name} must be a NamedSharding or a PartitionSpec, "
                f"received {sharding!r}."
            )
    mesh = _common_mesh(who, names, found)
    for name, shape, sharding in zip(names, shapes, found, strict=True):
        check_spec(who, name, shape, spec_of(sharding), mesh if mesh is not None else ambient_mesh())
    if mesh is not None:
        return [NamedSharding(mesh, PartitionSpec()) if s is None else s for s in found]
    return [PartitionSpec() if s is None else s for s in found]


def _common_mesh(who: str, names: Sequence[str], found: Sequence[Any]) -> Any:
    """The mesh of all NamedShardings; None where there are only PartitionSpecs."""
    named = [(name, s.mesh) for name, s in zip(names, found, strict=True) if isinstance(s, NamedSharding)]
    plain = [name for name, s in zip(names, found, strict=True) if isinstance(s, PartitionSpec)]
    if named and plain:
        raise TypeError(
            f"{who}: the shardings must be all NamedShardings or all PartitionSpecs; that of {named[0][0]} "
            f"is a NamedSharding, that of {plain[0]} a PartitionSpec."
        )
    for name, mesh in named[1:]:
        if mesh != named[0][1]:
            raise ValueError(
                f"{who}: all shardings must have one mesh; that of {named[0][0]} has {shown(named[0][1])}, "
                f"that of {name} has {shown(mesh)}."
            )
    return named[0][1] if named else None


def check_spec(who: str, name: str, shape: tuple[int, ...], spec: PartitionSpec, mesh: Any) -> None:
    """Raises ValueError for a spec that does not fit an array, or names an axis that is not in the mesh."""
    if len(spec) > len(shape):
        raise ValueError(
            f"{who}: {spec} has {len(spec)} dimensions, but parameter {name} has {len(shape)}: its shape "
            f"is {shape}."
        )
    if mesh is None:
        return
    for size, entry in zip(shape, spec, strict=False):
        for axis in names_in(entry):
            if axis not in mesh.axis_names:
                raise ValueError(no_axis(who, axis, mesh, f"in {spec} of parameter {name}"))
        if size % shards(mesh, entry):
            raise ValueError(
                f"{who}: {spec} cuts a dimension of parameter {name}, of shape {shape}, into "
                f"{shards(mesh, entry)} parts, which does not divide {size}. Leave it whole (None)."
            )


def no_axis(who: str, axis: Any, mesh: Any, where: str = "") -> str:
    """The text of the error for an axis that a mesh does not have."""
    there = ", ".join(map(repr, mesh.axis_names))
    place = f" {where}" if where else ""
    hint = nearest(axis, mesh.axis_names) if isinstance(axis, str) else ""
    return f"{who}: the mesh has no axis {axis!r}{place}; its axes are {there}.{hint}"


def names_in(entry: Any) -> tuple[str, ...]:
    """The axes of a mesh that an entry of a spec names."""
    if entry is None or entry is PartitionSpec.UNCONSTRAINED:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)


def spec_of(sharding: Any) -> PartitionSpec:
    """The PartitionSpec of any sharding; what is on one device has an empty one."""
    if isinstance(sharding, PartitionSpec):
        return sharding
    return sharding.spec if isinstance(sharding, NamedSharding) else PartitionSpec()


def shown(mesh: Any) -> str:
    """A mesh in a few words: Mesh(data=4, model=2)."""
    return f"Mesh({', '.join(f'{name}={size}' for name, size in mesh.shape.items())})"


def carried(who: str, params: Params) -> list[Any]:
    """The shardings that parameters carry: NamedShardings of one mesh, or each None.

    Raises: TypeError where some carry one and some do not.
    """
    found = [_own(p) for p in jax.tree.leaves(params)]
    if not any(isinstance(s, NamedSharding) for s in found):
        return [s if isinstance(s, jax.sharding.SingleDeviceSharding) else None for s in found]
    for (path, _), sharding in zip(leaves_with_path(params), found, strict=True):
        if not isinstance(sharding, NamedSharding):
            raise TypeError(
                f"{who}: parameter {_shown(path)} carries no NamedSharding, but others do: put it on their "
                "mesh with jax.device_put, or give shardings=."
            )
    _common_mesh(who, [_shown(path) for path, _ in leaves_with_path(params)], found)
    return found


def _own(p: Any) -> Any:
    """The sharding that an array or a shape has; under a trace, the one in its type."""
    if isinstance(p, Tracer):
        p = jax.typeof(p) if hasattr(jax, "typeof") else None
        sharding: Any = getattr(p, "sharding", None)
        return sharding if sharding is not None and sharding.mesh.axis_names else None
    return getattr(p, "sharding", None)


def _shown(path: Any) -> str:
    return repr(path_name(path)) if path else "(the only leaf)"


def of_axes(sharding: Any) -> Iterator[str]:
    """All axes of a mesh that a sharding uses."""
    for entry in spec_of(sharding):
        yield from names_in(entry)
