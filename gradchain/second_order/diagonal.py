"""Diagonals of linear maps that are only known by their products."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import widen
from ..core.types import ArrayTree, Params
from ..tree import cast_like, random_like
from .checks import parameters

AT_ONCE = 16
"""How many terms of a sum are computed side by side."""


def diagonal(
    product: Callable[[ArrayTree], ArrayTree],
    params: Params,
    *,
    key: jax.Array | None = None,
    num_samples: int | None = None,
) -> Params:
    """The diagonal of a square linear map A of trees: exactly, or estimated from random probes.

    Exactly, sum_i e_i * (A e_i) over the unit vectors: as many products as there are parameters.
    By Hutchinson's method, the mean of z * (A z) over random signs z: unbiased, exact in one sample
    for a diagonal A, with variance sum_{j != i} A_ij^2 / num_samples in entry i.

    Args:
        product: v -> A v, linear, from trees like the parameters to such trees.
        params: a tree of real floating arrays, for shapes and dtypes.
        key, num_samples: a random key and how many probes, at least 1; both None for the exact diagonal.

    Returns: a tree like the parameters, summed in at least float32. No n x n array is formed: the
        products are computed 16 at a time.
    Raises: ValueError for a key without num_samples or the reverse, or num_samples below 1.
    Reference: Bekas, Kokiopoulou and Saad, 2007, An estimator for the diagonal of a matrix.
    """
    params = parameters("diagonal", params)
    if (key is None) != (num_samples is None):
        raise ValueError("diagonal: key and num_samples belong together; give both, or neither.")
    if num_samples is not None and num_samples < 1:
        raise ValueError(f"diagonal: num_samples must be at least 1, received {num_samples}.")

    def term(i: Any) -> ArrayTree:
        probe = _unit(i, params) if key is None else _signs(jax.random.fold_in(key, i), params)
        # 0 times an infinite entry of another column is 0 here.
        return jax.tree.map(lambda z, x: jnp.where(z == 0, 0, widen(z) * widen(x)), probe, product(probe))

    size = sum(x.size for x in jax.tree.leaves(params))
    total = sum_over(size if num_samples is None else num_samples, term, params)
    return cast_like(jax.tree.map(lambda x: x / (num_samples or 1), total), params)


def sum_over(count: int, term: Callable[[Any], ArrayTree], like: ArrayTree) -> ArrayTree:
    """The sum of term(0), ..., term(count - 1), trees shaped like another, in at least float32."""
    width = max(min(AT_ONCE, count), 1)

    def add(chunk: Any, total: ArrayTree) -> ArrayTree:
        indices = chunk * width + jnp.arange(width)
        terms = jax.vmap(term)(jnp.minimum(indices, count - 1))

        def add_leaf(x: jax.Array, new: jax.Array) -> jax.Array:
            counts = (indices < count).reshape(-1, *[1] * x.ndim)
            return x + jnp.sum(jnp.where(counts, new, 0), axis=0)

        return jax.tree.map(add_leaf, total, terms)

    start = jax.tree.map(lambda x: jnp.zeros_like(widen(x)), like)
    return jax.lax.fori_loop(0, -(-count // width), add, start)


def _unit(i: Any, params: Params) -> Params:
    """The tree with a 1 in the i-th of all entries, else 0."""
    leaves, treedef = jax.tree.flatten(params)
    units, before = [], 0
    for x in leaves:
        units.append((jnp.arange(x.size) == i - before).reshape(x.shape).astype(x.dtype))
        before += x.size
    return jax.tree.unflatten(treedef, units)


def _signs(key: jax.Array, params: Params) -> Params:
    """A tree of random signs."""
    return random_like(key, params, jax.random.rademacher)
