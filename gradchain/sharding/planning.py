"""Which dimension of each parameter ZeRO-1 cuts, so that the least of the state stays on a device."""

import math
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..core.types import Params, PyTree
from ..tree.paths import leaves_with_path, path_name
from .division import dimensions, divided
from .laying import laid
from .owners import owners


def planned(
    inner: Any, params: Params, mesh: Mesh, axis: str, specs: PyTree
) -> tuple[dict[str, int], PyTree]:
    """The dimension along which each parameter is cut, by path, and where the state of `inner` lies then.

    It is the one that leaves the least of the state on a device; of equal ones the largest. Cut blocks of
    codes with one scale, for example, would have to be gathered.
    """
    names = [path_name(path) for path, _ in leaves_with_path(params)]
    shapes = jax.eval_shape(inner.init, params)
    own, arrays = owners(inner.init, params, shapes), jax.tree.leaves(shapes)

    def places(chosen: dict[str, int]) -> PyTree:
        cut = divided("zero1", params, mesh, axis, specs, chosen)
        given = [NamedSharding(mesh, spec) for spec in cut.parts]
        found = jax.tree.structure(shapes).flatten_up_to(laid(inner, params, given, shapes))
        whole = NamedSharding(mesh, PartitionSpec())  # where there is no parameter
        return jax.tree.unflatten(jax.tree.structure(shapes), [s or whole for s in found])

    def kept(chosen: dict[str, int]) -> list[int]:
        """The bytes of each parameter's state on a device."""
        sizes = [0] * len(names)
        for i, x, place in zip(own, arrays, jax.tree.leaves(places(chosen)), strict=True):
            if i is not None:
                sizes[i] += math.prod(place.shard_shape(x.shape)) * x.dtype.itemsize
        return sizes

    whole = divided("zero1", params, mesh, axis, specs).whole
    fits = [
        dimensions(p.shape, spec, mesh.shape[axis])
        for p, spec in zip(jax.tree.leaves(params), whole, strict=True)
    ]
    chosen = {name: dims[0] for name, dims in zip(names, fits, strict=True) if dims}
    least = kept(chosen) if any(len(dims) > 1 for dims in fits) else []
    for rank in range(1, max(map(len, fits), default=0)):
        others = {name: dims[rank] for name, dims in zip(names, fits, strict=True) if rank < len(dims)}
        for i, size in enumerate(kept(chosen | others)):
            if size < least[i]:
                least[i], chosen[names[i]] = size, others[names[i]]
    return chosen, places(chosen)
