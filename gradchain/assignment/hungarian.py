"""The Hungarian algorithm under its two names."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .shortest_paths import shortest_paths


def _checked(name: str, cost_matrix: ArrayLike) -> jax.Array:
    """The costs in the default precision; ValueError or TypeError if they are no matrix of reals."""
    cost = jnp.asarray(cost_matrix)
    if cost.ndim != 2:
        raise ValueError(
            f"{name}: cost_matrix must have two dimensions, (rows, columns), received shape {cost.shape}. "
            "Use jax.vmap for a batch of them."
        )
    if cost.dtype == bool or jnp.iscomplexobj(cost):
        raise TypeError(f"{name}: cost_matrix must be real, received dtype {cost.dtype}.")
    return cost.astype(jax.dtypes.canonicalize_dtype(float))


def _priced(cost: jax.Array) -> jax.Array:
    """Finite costs: a pair that is forbidden costs more than any assignment without such pairs.

    Costs so large that sums of them overflow are first divided by a power of two, which is exact.
    """
    allowed = jnp.isfinite(cost)
    size = jnp.max(jnp.where(allowed, jnp.abs(cost), 0))
    shrink = jnp.where(size > jnp.finfo(cost.dtype).max * 2.0**-20, 2.0**-20, 1.0).astype(cost.dtype)
    bound = (4 * min(cost.shape) + 1) * size * shrink
    return jnp.where(allowed, cost * shrink, jnp.where(bound > 0, bound, 1))


def _pairs(cost: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows and columns of the assignment, in the order of the shorter side."""
    if cost.size == 0:
        return jnp.zeros(0, int), jnp.zeros(0, int)
    if cost.shape[0] <= cost.shape[1]:
        return jnp.arange(cost.shape[0]), shortest_paths(_priced(cost))
    return shortest_paths(_priced(cost.T)), jnp.arange(cost.shape[1])


def hungarian_algorithm(cost_matrix: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Pairs of rows and columns, no row or column twice, whose total cost sum_k c[i_k, j_k] is least.

    Args:
        cost_matrix: real, shape (n, m), any n and m. An entry that is not finite (inf, -inf, NaN)
            forbids its pair. Computed in the default precision: integers above 2^24 are rounded
            unless 64-bit numbers are enabled.

    Returns: `i` and `j`, i[min(n, m)] each: row i[k] goes with column j[k]. `j` is 0, 1, ... for a
        square matrix; otherwise the shorter side counts down. Where no assignment does without
        forbidden pairs, the result has as few as can be. No pairs if n or m is 0.
    Raises: ValueError unless there are two dimensions; TypeError for complex numbers or booleans.
    Reference: Kuhn, 1955, The Hungarian Method for the Assignment Problem; Jonker and Volgenant,
        1987, A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems.
    """
    cost = _checked("hungarian_algorithm", cost_matrix)
    i, j = _pairs(cost)
    if cost.shape[0] == cost.shape[1]:
        return jnp.zeros_like(i).at[j].set(i), i
    return i[::-1], j[::-1]


def base_hungarian_algorithm(cost_matrix: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """As `hungarian_algorithm`, with the pairs in the order of the rows, as SciPy gives them.

    Args: cost_matrix, see `hungarian_algorithm`.
    Returns: `i`, increasing, and `j`, i[min(n, m)] each.
    Raises, Reference: see `hungarian_algorithm`.
    """
    cost = _checked("base_hungarian_algorithm", cost_matrix)
    i, j = _pairs(cost)
    if cost.shape[0] <= cost.shape[1]:
        return i, j
    order = jnp.argsort(i)
    return i[order], j[order]
