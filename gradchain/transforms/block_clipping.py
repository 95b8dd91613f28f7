"""Bounding each array's update by its root mean square."""

import jax.numpy as jnp

from ..core import NON_NEGATIVE_OR_INF, Trait, init_empty_state, leafwise, transformation
from ..core.numerics import rms
from ..core.types import Array, EmptyState, Numeric


@transformation(threshold=NON_NEGATIVE_OR_INF)
def clip_by_block_rms(threshold: Numeric):
    """Shrinks each array's update so that its root mean square is at most `threshold`.

    u = g min(1, threshold / rms(g)), with rms(g) = sqrt(mean |g|^2) over the entries of one array.

    Args: threshold, at least 0; 0 gives zeros.
    State: `EmptyState`. Memory: none.
    Reference: Shazeer and Stern, 2018, Adafactor, section 6, arXiv:1804.04235.

    Example:
        >>> tx, g = gc.clip_by_block_rms(1.0), jnp.array([1.0, 7.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> [round(x, 3) for x in u.tolist()]  # the rms was 5
        [0.2, 1.4]
    """

    def update(g: Array, s: EmptyState, p: Array | None) -> tuple[Array, EmptyState]:
        size = rms(g)
        within = size <= threshold
        return g * jnp.where(within, 1, threshold / jnp.where(within, 1, size)), s

    return leafwise(init_empty_state, update, traits=[Trait.CLIPS])
