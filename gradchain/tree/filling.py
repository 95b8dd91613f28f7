"""Trees with the shapes of another tree."""

import jax.numpy as jnp

from ..core.types import ArrayTree, Numeric
from .leaves import map_leaves

DType = jnp.dtype | type | str | None


def full_like(tree: ArrayTree, fill_value: Numeric, dtype: DType = None) -> ArrayTree:
    """A tree filled with one value, in the shapes of another tree, in its dtypes or in `dtype`."""
    return map_leaves("full_like", lambda x: jnp.full_like(x, fill_value, dtype=dtype), tree)


def zeros_like(tree: ArrayTree, dtype: DType = None) -> ArrayTree:
    """Zeros in the shapes of another tree, in its dtypes or in `dtype`."""
    return map_leaves("zeros_like", lambda x: jnp.zeros_like(x, dtype=dtype), tree)


def ones_like(tree: ArrayTree, dtype: DType = None) -> ArrayTree:
    """Ones in the shapes of another tree, in its dtypes or in `dtype`."""
    return map_leaves("ones_like", lambda x: jnp.ones_like(x, dtype=dtype), tree)


def batch_shape(tree: ArrayTree, shape: tuple[int, ...] = ()) -> ArrayTree:
    """Every leaf repeated along new leading axes: a leaf of shape s gets shape `shape + s`."""
    return map_leaves("batch_shape", lambda x: jnp.broadcast_to(x, (*shape, *jnp.shape(x))), tree)
