"""Updates in the parameters' own units: each array's update times the size of its parameter."""

import jax.numpy as jnp

from ..core import init_empty_state, leafwise, transformation
from ..core.numerics import norm, rms
from ..core.types import Array, EmptyState, Numeric


@transformation
def scale_by_param_block_norm(min_scale: Numeric = 1e-3):
    """Multiplies each array's update by the norm of its parameter: u = g max(|p|, min_scale).

    Args: min_scale, at least 0, so that parameters at zero can move.
    State: `EmptyState`. Memory: none.
    Raises: ValueError if `update` gets no parameters.
    Reference: Shazeer and Stern, 2018, Adafactor, arXiv:1804.04235 (relative step sizes).

    Example:
        >>> tx, p = gc.scale_by_param_block_norm(), jnp.array([3.0, 4.0])
        >>> u, state = tx.update(jnp.array([1.0, 0.5]), tx.init(p), p)
        >>> [round(x, 3) for x in u.tolist()]  # times |p| = 5
        [5.0, 2.5]
    """

    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        return g * jnp.maximum(norm(p), min_scale), s

    return leafwise(init_empty_state, update, needs_params=True)


@transformation
def scale_by_param_block_rms(min_scale: Numeric = 1e-3):
    """Multiplies each array's update by the root mean square of its parameter.

    u = g max(sqrt(mean |p|^2), min_scale).

    Args: min_scale, at least 0, so that parameters at zero can move.
    State: `EmptyState`. Memory: none.
    Raises: ValueError if `update` gets no parameters.
    Reference: Shazeer and Stern, 2018, Adafactor, section 8, arXiv:1804.04235.

    Example:
        >>> tx, p = gc.scale_by_param_block_rms(), jnp.array([1.0, 7.0])
        >>> u, state = tx.update(jnp.array([1.0, 0.5]), tx.init(p), p)
        >>> [round(x, 3) for x in u.tolist()]  # times the rms, 5
        [5.0, 2.5]
    """

    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        return g * jnp.maximum(rms(p), min_scale), s

    return leafwise(init_empty_state, update, needs_params=True)
