"""Steps proportional to the parameters: the trust ratio of LARS, LAMB and Fromage."""

import jax.numpy as jnp

from ..core import init_empty_state, leafwise, transformation
from ..core.numerics import norm
from ..core.types import Array, EmptyState, Numeric

ScaleByTrustRatioState = EmptyState


@transformation
def scale_by_trust_ratio(min_norm: Numeric = 0.0, trust_coefficient: Numeric = 1.0, eps: Numeric = 0.0):
    """Gives each array's update a norm proportional to the norm of the parameter.

    u = g trust_coefficient |p| / (|g| + eps), with both 2-norms at least min_norm; u = g where either
    is 0.

    Args:
        min_norm: lower bound of both norms, at least 0.
        trust_coefficient: the norm of u over that of p, usually in (0, 1].
        eps: added to the gradient's norm, at least 0.

    State: `EmptyState`. Memory: none.
    Raises: ValueError if `update` gets no parameters.
    Reference: You, Gitman and Ginsburg, 2017, Large Batch Training of Convolutional Networks,
        arXiv:1708.03888.

    Example:
        >>> tx, p = gc.scale_by_trust_ratio(), jnp.array([3.0, 4.0])
        >>> u, state = tx.update(jnp.array([0.5, 0.0]), tx.init(p), p)
        >>> [round(x, 3) for x in u.tolist()]  # of norm |p| = 5
        [5.0, 0.0]
    """

    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        p_norm, g_norm = jnp.maximum(norm(p), min_norm), jnp.maximum(norm(g), min_norm)
        zero = jnp.logical_or(p_norm == 0, g_norm == 0)
        return g * jnp.where(zero, 1, trust_coefficient * p_norm / jnp.where(zero, 1, g_norm + eps)), s

    return leafwise(init_empty_state, update, needs_params=True)
