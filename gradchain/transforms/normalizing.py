"""Updates with a given norm, and updates with mean zero."""

from typing import Any

import jax.numpy as jnp

from ..core import FINITE, init_empty_state, leafwise, transformation
from ..core.types import Array, EmptyState, Numeric
from ..tree.norm import norm


@transformation(scale_factor=FINITE)
def normalize_by_update_norm(scale_factor: Numeric = 1.0, eps: Numeric = 1e-6):
    """Scales all updates together to one global norm: u = g scale_factor / (|g| + eps).

    |g| is the 2-norm over all entries of all leaves, summed in at least float32.

    Args:
        scale_factor: the norm of the result.
        eps: at least 0; at 0, zeros stay zeros.

    State: `EmptyState`. Memory: none.
    Reference: Hazan, Levy and Shalev-Shwartz, 2015, Beyond Convexity: Stochastic Quasi-Convex
        Optimization, arXiv:1507.02030.

    Example:
        >>> tx, g = gc.normalize_by_update_norm(2.0), jnp.array([3.0, 4.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> [round(x, 3) for x in u.tolist()]  # of norm 2
        [1.2, 1.6]
    """

    def measure(gs: list[Array], extra_args: dict[str, Any]) -> Array:
        size = norm(gs) + eps
        return jnp.where(size > 0, scale_factor / jnp.where(size > 0, size, 1), 0)

    def update(g: Array, s: EmptyState, p: Array | None, factor: Array) -> tuple[Array, EmptyState]:
        return g * factor, s

    return leafwise(init_empty_state, update, measure=measure)


@transformation
def centralize():
    """Subtracts from each row its mean: u = g - mean(g over all dimensions but the first).

    Vectors and scalars stay as they are.

    State: `EmptyState`. Memory: none.
    Reference: Yong et al., 2020, Gradient Centralization: A New Optimization Technique for Deep
        Neural Networks, arXiv:2004.01461.

    Example:
        >>> tx, g = gc.centralize(), jnp.array([[1.0, 3.0], [5.0, 6.0]])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.tolist()
        [[-1.0, 1.0], [-0.5, 0.5]]
    """

    def update(g: Array, s: EmptyState, p: Array | None) -> tuple[Array, EmptyState]:
        return (g - jnp.mean(g, axis=tuple(range(1, g.ndim)), keepdims=True) if g.ndim > 1 else g), s

    return leafwise(init_empty_state, update)
