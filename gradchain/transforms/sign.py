"""Signs in place of gradients."""

import jax.numpy as jnp

from ..core import Trait, init_empty_state, leafwise, transformation
from ..core.types import Array, EmptyState


@transformation
def scale_by_sign():
    """Replaces every entry by its sign: u = g / |g|, and 0 where g = 0.

    A complex number keeps its direction and gets absolute value 1. A NaN stays NaN.

    State: `EmptyState`. Memory: none.
    Reference: Bernstein et al., 2018, signSGD: Compressed Optimisation for Non-Convex Problems,
        arXiv:1802.04434.

    Example:
        >>> tx, g = gc.scale_by_sign(), jnp.array([-3.0, 0.5])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.tolist()
        [-1.0, 1.0]
    """

    def update(g: Array, s: EmptyState, p: Array | None) -> tuple[Array, EmptyState]:
        return jnp.sign(g), s

    return leafwise(init_empty_state, update, traits=[Trait.RESCALES])
