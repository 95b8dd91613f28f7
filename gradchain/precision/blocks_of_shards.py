"""Blocks of arrays with an explicit sharding: what shards cut is first brought together."""

import math

from ..core import resharded, sharding_in_type
from ..core.types import Array
from .blocks import Blocks


def whole_blocks(x: Array, blocks: Blocks) -> Array:
    """The array, without a sharding of the axis with the blocks if shards cut some."""
    sharding = sharding_in_type(x)
    if sharding is None or sharding.spec[blocks.axis] is None or blocks.number == 1:
        return x
    names = sharding.spec[blocks.axis]
    shards = math.prod(sharding.mesh.shape[name] for name in ([names] if isinstance(names, str) else names))
    if blocks.number % shards == 0 and not blocks.padding:
        return x
    parts = [None if axis == blocks.axis else part for axis, part in enumerate(sharding.spec)]
    return resharded(x, parts)


def sharded_as(x: Array, codes: Array) -> Array:
    """The second array with the explicit sharding of the first, which has its shape."""
    sharding = sharding_in_type(x)
    return codes if sharding is None else resharded(codes, sharding.spec, sharding.mesh)
