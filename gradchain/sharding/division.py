"""Along which dimension each replicated parameter is cut over a mesh axis: what ZeRO's parts agree on."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from ..core import is_absent
from ..core.types import Params, PyTree
from ..tree.paths import leaves_with_path, path_name
from .specs import check_spec, each, names_in, no_axis


class Division(NamedTuple):
    """How each leaf of the parameters is cut."""

    whole: list[PartitionSpec]  # where the parameter lies
    parts: list[PartitionSpec]  # and where its state: cut over the axis too
    dims: list[int | None]  # the dimension that is cut; None if none divides
    left: list[str]  # paths of those of more than no dimension that are not cut
    share: float  # of all entries, those of `left`


def check_mesh(who: str, mesh: Any, axis: Any) -> None:
    """Raises TypeError for what is no mesh, ValueError for an axis that it does not have."""
    if not isinstance(mesh, Mesh):
        raise TypeError(
            f"{who}: mesh must be a jax.sharding.Mesh, such as jax.make_mesh((8,), ('data',)), received "
            f"{mesh!r}."
        )
    if axis not in mesh.axis_names:
        raise ValueError(no_axis(who, axis, mesh))


def divided(
    who: str,
    params: Params,
    mesh: Mesh,
    axis: str,
    specs: PyTree,
    chosen: Mapping[str, int] = MappingProxyType({}),
) -> Division:
    """Cuts each parameter along the first of its `dimensions`, or along the one that is chosen, by path.

    Raises: ValueError for specs that do not fit the parameters.
    """
    leaves = jax.tree.leaves(params)
    given = [PartitionSpec()] * len(leaves) if specs is None else each(who, "specs", specs, params)
    whole, parts, dims, left, uncut = [], [], [], [], 0
    for (path, p), spec in zip(leaves_with_path(params), given, strict=True):
        spec = _checked(who, path_name(path), p, spec, mesh, axis)
        fits = () if is_absent(p) else dimensions(jnp.shape(p), spec, mesh.shape[axis])
        dim = chosen.get(path_name(path), fits[0]) if fits else None
        if dim is None and 0 not in (jnp.ndim(p), *jnp.shape(p)):
            left.append(path_name(path) or "the only leaf")
        uncut += math.prod(jnp.shape(p)) if dim is None else 0
        whole.append(spec)
        dims.append(dim)
        parts.append(spec if dim is None else _with(spec, dim, axis))
    entries = sum(math.prod(jnp.shape(p)) for p in leaves)
    return Division(whole, parts, dims, left, uncut / entries if entries else 0.0)


def _checked(who: str, name: str, p: Any, spec: Any, mesh: Mesh, axis: str) -> PartitionSpec:
    spec = PartitionSpec() if spec is None else spec
    if not isinstance(spec, PartitionSpec):
        raise TypeError(
            f"{who}: the spec of parameter {name!r} must be a PartitionSpec, received {spec!r}."
        )
    check_spec(who, repr(name) if name else "(the only leaf)", jnp.shape(p), spec, mesh)
    if any(axis in names_in(entry) for entry in spec):
        raise ValueError(
            f"{who}: {spec} of parameter {name!r} names {axis!r}, the axis over which it is replicated. A "
            "parameter that is already sharded over it needs no wrapper: its state follows it."
        )
    return spec


def dimensions(shape: Sequence[int], spec: PartitionSpec, parts: int) -> tuple[int, ...]:
    """The dimensions that are free and divide, the largest first."""
    taken = {i for i, entry in enumerate(spec) if entry is not None}
    free = [i for i, n in enumerate(shape) if i not in taken and n > 0 and n % parts == 0]
    return tuple(sorted(free, key=lambda i: -shape[i]))


def _with(spec: PartitionSpec, dim: int, axis: str) -> PartitionSpec:
    entries = list(spec) + [None] * (dim + 1 - len(spec))
    entries[dim] = axis
    return PartitionSpec(*entries)


def told(who: str, division: Division, mesh: Mesh, axis: str) -> str:
    """Which parameters are not cut, in a sentence."""
    some = ", ".join(division.left[:6])
    more = f" and {len(division.left) - 6} more" if len(division.left) > 6 else ""
    return (
        f"{who}: the state of {some}{more} stays whole on every device ({division.share:.0%} of all "
        f"entries): no free dimension is a multiple of {mesh.shape[axis]}, the size of {axis!r}."
    )
