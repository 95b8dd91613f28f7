"""Blocks of arrays with an explicit sharding: what shards cut is first brought together."""

import math
from typing import Any

import jax
from jax.sharding import PartitionSpec

from ..core.types import Array
from .blocks import Blocks


def _explicit(x: Array) -> Any:
    """The sharding in the type of an array, if that says one; JAX before 0.6 knows none."""
    if not (hasattr(jax, "typeof") and hasattr(jax.sharding, "reshard")):
        return None
    found: Any = getattr(jax.typeof(x), "sharding", None)
    return found if found is not None and any(part is not None for part in found.spec) else None


def whole_blocks(x: Array, blocks: Blocks) -> Array:
    """The array, without a sharding of the axis with the blocks if shards cut some."""
    sharding = _explicit(x)
    if sharding is None or sharding.spec[blocks.axis] is None or blocks.number == 1:
        return x
    names = sharding.spec[blocks.axis]
    shards = math.prod(sharding.mesh.shape[name] for name in ([names] if isinstance(names, str) else names))
    if blocks.number % shards == 0 and not blocks.padding:
        return x
    parts = [None if axis == blocks.axis else part for axis, part in enumerate(sharding.spec)]
    return jax.sharding.reshard(x, PartitionSpec(*parts))


def sharded_as(x: Array, codes: Array) -> Array:
    """The second array with the explicit sharding of the first, which has its shape."""
    sharding = _explicit(x)
    return codes if sharding is None else jax.sharding.reshard(codes, sharding.spec)
