"""What decides whether an entry is rounded up."""

import jax.numpy as jnp

from ..core.rounding import noise_of
from ..core.types import Array


def threshold(like: Array, seed: Array | None, edge: float) -> Array | float:
    """What to add to a number in units of the last place before it is rounded down; in (0, 1), in float32.

    Without a seed it is 0.5, which rounds to the nearest; else random for each entry, which is right on
    average.

    Args: edge, the distance that numbers keep from 0 and 1. It must be more than what float32 is off, so
        that a number which a code stands for gets this code.
    """
    if seed is None:
        return 0.5
    part = (noise_of(seed, like.shape) >> jnp.uint32(8)).astype(jnp.float32) * jnp.float32(2.0**-24)
    return edge + (1 - 2 * edge) * part
