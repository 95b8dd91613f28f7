"""Batches as microbatches: row i of n microbatches is row i // n of microbatch i % n.

So a batch that is sharded by rows gives microbatches that are sharded alike, without communication.
"""

from typing import Any

import jax
import jax.numpy as jnp

from ..core.types import ArrayTree


def reshape_batch_axis(tree: Any, microbatch_size: int, axis: int = 0) -> Any:
    """Each array's batch axis as two, (microbatches, microbatch_size), in column-major order.

    Row i of the batch becomes row i // n of microbatch i % n, for n microbatches, so that shards of
    consecutive rows stay whole.

    Args:
        tree: a tree of arrays.
        microbatch_size: rows per microbatch; divides the batch axis, and under explicit sharding is
            divided by the number of its shards.
        axis: the batch axis; negative counts from the end.

    Returns: the tree with one more axis, in front of what was the batch axis.
    Raises: ValueError for sizes that do not divide.
    """
    name = "reshape_batch_axis"
    tree = jax.tree.map(jnp.asarray, tree)
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        at = axis_of(name, jax.tree_util.keystr(path) or "the array", x, axis)
        check_divides(name, x.shape[at], microbatch_size)

    def swap(x: jax.Array) -> jax.Array:
        at = axis % (x.ndim - 1)
        return jnp.swapaxes(x, at, at + 1)

    return jax.tree.map(swap, split(name, tree, microbatch_size, axis))


def axis_of(name: str, what: str, x: jax.Array, axis: int) -> int:
    """The axis counted from the front; ValueError if there is none."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: {what} has shape {x.shape} and no batch axis {axis}.")
    return axis % x.ndim


def check_divides(name: str, batch_size: int, microbatch_size: int) -> None:
    """Raises ValueError unless a batch splits into microbatches."""
    if microbatch_size < 1 or batch_size % microbatch_size:
        raise ValueError(
            f"{name}: a batch of {batch_size} does not split into microbatches of {microbatch_size}; "
            "microbatch_size must be a positive divisor. Pad the batch and give the rest weight 0."
        )


def split(name: str, tree: ArrayTree, microbatch_size: int, axis: int) -> ArrayTree:
    """Each array's batch axis as (microbatch_size, microbatches): a view, where reshaping is free."""

    def view(x: jax.Array) -> jax.Array:
        at = axis % x.ndim
        shards = _shards(x, at)
        if microbatch_size % shards:
            raise ValueError(
                f"{name}: microbatch_size must be a multiple of the {shards} shards of the batch axis, "
                f"received {microbatch_size}."
            )
        return x.reshape(*x.shape[:at], microbatch_size, -1, *x.shape[at + 1 :])

    return jax.tree.map(view, tree)


def _shards(x: jax.Array, axis: int) -> int:
    """Over how many devices an axis is spread, as far as its type says (explicit sharding)."""
    if not hasattr(jax, "typeof"):  # came to JAX with explicit sharding
        return 1
    sharding = jax.typeof(x).sharding
    if not getattr(sharding.mesh, "are_all_axes_explicit", False):
        return 1
    return x.shape[axis] // max(sharding.shard_shape(x.shape)[axis], 1)


def take(views: ArrayTree, index: Any, axis: int) -> ArrayTree:
    """One microbatch of views made by `split`."""
    return jax.tree.map(
        lambda x: jax.lax.dynamic_index_in_dim(x, index, axis % (x.ndim - 1) + 1, keepdims=False), views
    )
