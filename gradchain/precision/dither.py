"""Numbers that decide, as if at random, whether an entry is rounded up: without a key, and fast."""

import jax
import jax.numpy as jnp

from ..core.types import Array


def dither(like: Array, turn: Array, edge: float) -> Array:
    """For each entry a number in (0, 1), in float32: a hash of its place and of the turn, u32[].

    Args: edge, the distance that numbers keep from 0 and 1. It must be more than what float32 is off, so
        that a number which a code stands for gets this code.
    """
    place = jnp.zeros(like.shape, jnp.uint32)
    for axis in range(like.ndim):
        along = jax.lax.broadcasted_iota(jnp.uint32, like.shape, axis)
        place = place * jnp.uint32(like.shape[axis]) + along
    mixed = place * jnp.uint32(0x9E3779B1) + turn * jnp.uint32(0x85EBCA77)
    mixed = (mixed ^ (mixed >> jnp.uint32(15))) * jnp.uint32(0xC2B2AE3D)
    mixed = (mixed ^ (mixed >> jnp.uint32(13))) * jnp.uint32(0x27D4EB2F)
    part = (mixed >> jnp.uint32(8)).astype(jnp.float32) * jnp.float32(2.0**-24)
    return edge + (1 - 2 * edge) * part
