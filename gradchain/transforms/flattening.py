"""A transformation applied to all parameters as one vector."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import (
    GradientTransformation,
    dtype_of,
    transformation,
    typed_like,
    uncut,
    wider,
    with_extra_args_support,
    wrapper,
)
from ..core.types import Array, OptState, Params, PyTree, Updates
from ..tree.placeholder import is_placeholder


def _join(tree: PyTree) -> Array:
    leaves = jax.tree.leaves(uncut(tree))
    if not leaves:
        return jnp.zeros((0,))
    dtype = wider(*map(dtype_of, leaves))
    return jnp.concatenate([jnp.ravel(leaf).astype(dtype) for leaf in leaves])


def _split(flat: Array, like: PyTree, dtype: Any) -> PyTree:
    """The parts of a vector, in the dtypes of `like`; in its own unless that is of `like` joined."""
    leaves, treedef = jax.tree.flatten(like)
    ends = np.cumsum([np.prod(jnp.shape(leaf), dtype=int) for leaf in leaves])[:-1]
    parts = jnp.split(flat, ends) if leaves else []
    return jax.tree.unflatten(
        treedef,
        [
            part.reshape(jnp.shape(leaf)).astype(dtype_of(leaf) if flat.dtype == dtype else flat.dtype)
            for part, leaf in zip(parts, leaves, strict=True)
        ],
    )


@transformation
def flatten(inner: GradientTransformation):
    """Applies `inner` to all updates joined into one vector, and splits the result again.

    Many small leaves then cost fewer and larger operations. What a rule computes for each leaf (a
    norm, a factored moment) it computes once for all of them. Leaves of different dtypes are joined in
    the widest dtype. The shardings of the leaves are lost.

    Args: inner, any transformation.
    State: `inner`'s, for one vector of all entries.

    Example:
        >>> tx = gc.flatten(gc.clip_by_block_rms(1.0))
        >>> g = {"a": jnp.array([1.0]), "b": jnp.array([7.0])}
        >>> u, _ = tx.update(g, tx.init(g))
        >>> print({k: round(x.item(), 3) for k, x in u.items()})  # one block, whose rms was 5
        {'a': 0.2, 'b': 1.4}
    """
    tx = with_extra_args_support(inner)

    def init(params: Params) -> OptState:
        if is_placeholder(params):
            return tx.init(params)
        if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(params)):
            params = jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), params)
        return tx.init(_join(params))

    def run(
        whole: bool, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        flat, joined = None if params is None else _join(params), _join(updates)
        result, state = tx.run(whole, joined, state, flat, **extra_args)
        if whole:
            return typed_like(_split(result, params, result.dtype), params), state
        return typed_like(_split(result, updates, joined.dtype), updates), state

    return wrapper(init, run, inside=[(inner, ())])
