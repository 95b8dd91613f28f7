"""Scaling by powers of two, which is exact, so that squares stay in the range of float32."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import widen
from ..core.types import ArrayTree
from ..tree import cast_like, max as largest, scale


def binary_scale(size: Any) -> jax.Array:
    """A power of two near `size`, a float of at least 32 bits; 1 where that is 0 or not finite."""
    size = jnp.where(jnp.isfinite(size), size, 0)
    limits = jnp.finfo(size.dtype)
    # Neither the power nor its inverse may leave the range.
    exponent = jnp.clip(jnp.frexp(size)[1], limits.minexp, limits.maxexp - 2)
    return jnp.where(size == 0, 1, jnp.ldexp(jnp.ones_like(size), exponent))


def scaled(tree: ArrayTree) -> tuple[ArrayTree, jax.Array]:
    """A tree with entries of about 1 at most, in at least float32, and the power of two taken out."""
    wide = jax.tree.map(widen, tree)
    factor = binary_scale(jnp.asarray(largest(jax.tree.map(jnp.abs, wide))))
    return cast_like(scale(1 / factor, wide), wide), factor
