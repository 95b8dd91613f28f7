"""Checksums of arrays, which do not depend on where their parts lie."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import is_inexact
from ..core.rounding import noise_of
from ..core.types import Array, PyTree
from ..sharding._compat import is_hosted, to_memory

SEED = 0x67726164


def checksums(arrays: Mapping[str, Any]) -> dict[str, int]:
    """A number below 2**32 for each array: the sum of its bits, each word weighted by a hash of its place.

    Sums of integers modulo 2**32 are exact in any order, so the number is the same on one device and on
    many. The weights are odd: whatever happens to a single word changes the number.
    """
    near = {name: x for name, x in arrays.items() if not is_hosted(x)}
    sums = dict(zip(near, _sums([*near.values()]), strict=True))
    for name in arrays.keys() - near.keys():  # one after the other, for the device may not hold all
        sums[name] = _sums([to_memory(arrays[name], None)])[0]
    return {name: int(x) for name, x in jax.device_get(sums).items()}


def has_nan(tree: PyTree) -> bool:
    """Whether some number of a tree is NaN."""
    return bool(_any_nan([x for x in jax.tree.leaves(tree) if is_inexact(x)]))


@jax.jit
def _sums(arrays: list[Array]) -> list[Array]:
    return [_sum(words(x)) for x in arrays]


@jax.jit
def _any_nan(arrays: list[Array]) -> Array:
    found = jnp.zeros((), bool)
    for x in arrays:
        found |= jnp.any(jnp.isnan(x))
    return found


def _sum(x: Array) -> Array:
    weights = noise_of(jnp.uint32(SEED), x.shape) | jnp.uint32(1)
    return jnp.sum(x * weights, dtype=jnp.uint32)


def words(x: Array) -> Array:
    """The bits of an array as uint32: one word for an entry, or two in a last axis."""
    dtype = np.dtype(x.dtype)
    if dtype.kind == "c":
        return words(jnp.stack([x.real, x.imag], axis=-1))
    if dtype.kind == "b":
        return x.astype(jnp.uint32)
    if jnp.issubdtype(dtype, jnp.integer) and dtype.itemsize < 4:
        return x.astype(jnp.int32).astype(jnp.uint32)  # those of 4 bits too
    if dtype.itemsize >= 4:
        return jax.lax.bitcast_convert_type(x, jnp.uint32)
    bits = jnp.finfo(dtype).bits
    unsigned = {16: jnp.uint16, 8: jnp.uint8}.get(bits) or jnp.dtype(f"uint{bits}")
    return jax.lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32)
