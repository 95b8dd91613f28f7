"""The sharding of each array of a state, from what its axes follow and from what wrappers decide."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from ..core import state_at, with_extra_args_support, with_state_at
from ..core.types import OptState, Params, PyTree
from ..transforms.masking import keep
from ._compat import shards
from .following import Axes, following
from .specs import is_spec, names_in, of_axes, spec_of


def laid(tx: Any, params: Params, given: Sequence[Any], state: PyTree, mesh: Any = None) -> PyTree:
    """The sharding of each array in a state, of the kind that is given for each parameter.

    Args:
        given: for each parameter a NamedSharding, a PartitionSpec, that of one device, or None.
        state: the shapes of the state.
        mesh: against which PartitionSpecs are checked, if any.
    """
    pair: Any = with_extra_args_support(tx)
    if pair.parts.placement is not None:
        return pair.parts.placement(params, jax.tree.unflatten(jax.tree.structure(params), given))
    asked = {i for i, sharding in enumerate(given) if any(of_axes(sharding))}
    default = _replicated(given)
    shapes, treedef = jax.tree.flatten(state)
    found = []
    for x, (i, axes) in zip(shapes, following(pair, params, state, asked), strict=True):
        if i is None:
            found.append(default)
        elif i not in asked or axes is None:
            found.append(given[i] if jnp.ndim(x) or default is None else default)
        else:
            spec = _spec(jnp.shape(x), axes, spec_of(given[i]), getattr(given[i], "mesh", mesh))
            found.append(like(given[i], spec))
    result = treedef.unflatten(_fitting(s, x) for s, x in zip(found, shapes, strict=True))
    return _with_own_placements(pair, params, given, state, result)


def made_in_place(init: Callable[[Params], OptState], params: Params, places: PyTree) -> OptState:
    """The state, made by one program where it will lie; of shapes too."""
    if any(isinstance(p, jax.ShapeDtypeStruct) for p in jax.tree.leaves(params)):
        return jax.jit(lambda: init(params), out_shardings=places)()
    return jax.jit(init, out_shardings=places)(params)


def like(sharding: Any, spec: PartitionSpec) -> Any:
    """Another sharding of the same kind, mesh and memory."""
    if isinstance(sharding, NamedSharding):
        return NamedSharding(sharding.mesh, spec, memory_kind=sharding.memory_kind)
    return spec


def with_memory(sharding: Any, x: Any, kind: str) -> Any:
    """The sharding in another memory, of an array that is no scalar."""
    has = hasattr(sharding, "with_memory_kind") and jnp.ndim(x) > 0
    return sharding.with_memory_kind(kind) if has else sharding


def _replicated(given: Sequence[Any]) -> Any:
    """Where what is kept for no parameter lies."""
    first = next((s for s in given if s is not None), None)
    if isinstance(first, NamedSharding):
        return NamedSharding(first.mesh, PartitionSpec())
    return PartitionSpec() if isinstance(first, PartitionSpec) else first


def _fitting(sharding: Any, x: Any) -> Any:
    """A spec has no more dimensions than its array: one that is replicated may be of a longer one."""
    spec = spec_of(sharding)
    if sharding is None or len(spec) <= jnp.ndim(x):
        return sharding
    return like(sharding, PartitionSpec(*spec[: jnp.ndim(x)]))


def _spec(shape: tuple[int, ...], axes: Axes, spec: PartitionSpec, mesh: Any) -> PartitionSpec:
    """The spec of an array whose axes follow those of a parameter with this spec.

    An axis that joins several follows the first of them if the others are whole. Every axis of the mesh is
    used once, and only where it divides.
    """
    entries = dict(enumerate(spec))
    used: set[str] = set()
    found: list[Any] = []
    for size, followed in zip(shape, axes, strict=True):
        entry = entries.get(followed[0]) if followed else None
        if any(names_in(entries.get(axis)) for axis in followed[1:]):
            entry = None
        names = names_in(entry)
        divides = mesh is None or size % shards(mesh, names) == 0
        if not names or not used.isdisjoint(names) or not divides:
            entry = None
        used.update(names_in(entry))
        found.append(entry)
    while found and found[-1] is None:
        found.pop()
    return PartitionSpec(*found)


def _with_own_placements(
    pair: Any, params: Params, given: Sequence[Any], state: PyTree, result: PyTree
) -> PyTree:
    """The shardings, with those of wrappers inside that decide on theirs."""
    masks = [True] * len(pair.inside)
    if pair.parts.masks is not None and pair.inside:
        masks = list(pair.parts.masks(params))
    tree = jax.tree.unflatten(jax.tree.structure(params), given)
    for (tx, place), mask in zip(pair.inside, masks, strict=True):
        inner: Any = with_extra_args_support(tx)
        if not _decides(inner):
            continue
        seen, theirs = params, tree
        if mask is not True:
            seen, theirs = keep("state_sharding", mask, params), keep("state_sharding", mask, tree)
        known = jax.tree.leaves(theirs, is_leaf=is_spec)
        shapes = state_at(state, place)
        new = laid(inner, seen, known, shapes)
        if _alike(shapes, new):
            result = with_state_at(result, place, new)
    return result


def _alike(shapes: PyTree, found: PyTree) -> bool:
    """Whether there is a sharding for each array: what is in between may keep the state in another form."""
    try:
        return all(map(is_spec, jax.tree.structure(shapes).flatten_up_to(found)))
    except ValueError:
        return False


def _decides(pair: Any) -> bool:
    """Whether it, or something in it, decides where its state lies."""
    inside = (with_extra_args_support(tx) for tx, _ in pair.inside)
    return pair.parts.placement is not None or any(map(_decides, inside))
