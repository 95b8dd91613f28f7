"""Random trees, and trees of random keys."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import dtype_of
from ..core.numerics import drawn_like
from ..core.types import ArrayTree
from .leaves import map_leaves


def split_key_like(rng_key: jax.Array, target_tree: ArrayTree) -> ArrayTree:
    """A tree of independent keys, one for each leaf of `target_tree`."""
    treedef = jax.tree.structure(target_tree)
    return jax.tree.unflatten(treedef, jax.random.split(rng_key, treedef.num_leaves))


def random_like(
    rng_key: jax.Array,
    target_tree: ArrayTree,
    sampler: Callable[..., Any] = jax.random.normal,
    dtype: Any = None,
) -> ArrayTree:
    """A tree of independent random arrays in the shapes of another tree.

    Args:
        rng_key: one random key.
        target_tree: gives shapes, dtypes and, under explicit sharding, shardings.
        sampler: `sampler(key, shape, dtype)`, with or without a keyword `out_sharding`.
        dtype: dtype of all leaves, by default that of each target.
    """

    def draw(key: Any, leaf: Any) -> Any:
        return drawn_like(sampler, key, leaf, dtype or dtype_of(leaf))

    return map_leaves("random_like", draw, split_key_like(rng_key, target_tree), target_tree)


def unwrap_random_key_data(input_tree: ArrayTree) -> ArrayTree:
    """The tree with typed random keys replaced by their raw integers, for checkpoints."""

    def unwrap(x: Any) -> Any:
        typed = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(x) if typed else x

    return map_leaves("unwrap_random_key_data", unwrap, input_tree)
