"""Clipping the gradients of single examples, for differential privacy."""

import math

import jax
import jax.numpy as jnp

from ..core import cast, dtype_of, is_inexact, widen
from ..core.types import Array, ArrayTree, Numeric
from ..tree.norm import norm


def _check_batch(name: str, grads: ArrayTree) -> None:
    sizes = {jnp.shape(g)[:1] for g in jax.tree.leaves(grads)}
    if () in sizes or len(sizes) > 1:
        shapes = [jnp.shape(g) for g in jax.tree.leaves(grads)]
        raise ValueError(
            f"{name}: every gradient must have the examples along its first axis, as "
            f"jax.vmap(jax.grad(loss)) gives them; received shapes {shapes}."
        )


def per_example_global_norm_clip(grads: ArrayTree, l2_norm_clip: Numeric) -> tuple[ArrayTree, Array]:
    """The sum of the examples' gradients, each scaled down to a global norm of at most `l2_norm_clip`.

    Args: grads, a tree of arrays (examples, ...); l2_norm_clip, the bound, at least 0.
    Returns: the sum, a tree of arrays (...) in the dtypes of the gradients (float32 for integers), and
        how many examples were scaled down, i32[].
    Raises: ValueError unless the first axis of all leaves has the same length.
    Reference: Abadi et al., 2016, Deep Learning with Differential Privacy, arXiv:1607.00133.
    """
    _check_batch("per_example_global_norm_clip", grads)
    if not jax.tree.leaves(grads):
        return grads, jnp.zeros([], jnp.int32)
    norms = jax.vmap(norm)(grads)
    over = norms > l2_norm_clip
    factors = jnp.where(over, l2_norm_clip / jnp.where(over, norms, 1), 1)

    def total(g: Array) -> Array:
        wide = widen(g) if is_inexact(g) else jnp.asarray(g, factors.dtype)
        # Accelerators round the factors of a product by default: a norm could then exceed the bound.
        exact = jax.lax.Precision.HIGHEST
        sums = jnp.tensordot(factors.astype(wide.dtype), wide, 1, precision=exact)
        return cast(sums, dtype_of(g)) if is_inexact(g) else sums

    return jax.tree.map(total, grads), jnp.sum(over, dtype=jnp.int32)


def per_example_layer_norm_clip(
    grads: ArrayTree, global_l2_norm_clip: Numeric, uniform: bool = True
) -> tuple[ArrayTree, ArrayTree]:
    """As `per_example_global_norm_clip`, but each leaf is clipped on its own, to its share of the bound.

    Args:
        grads: a tree of arrays (examples, ...).
        global_l2_norm_clip: the bound C on the norm of all leaves, at least 0.
        uniform: True for shares C / sqrt(leaves), False for C sqrt(entries of the leaf / all entries).

    Returns: the sums, and for each leaf how many examples were scaled down.
    Raises: ValueError unless the first axis of all leaves has the same length.
    Reference: McMahan et al., 2017, Learning Differentially Private Recurrent Language Models,
        arXiv:1710.06963.
    """
    _check_batch("per_example_layer_norm_clip", grads)
    leaves, treedef = jax.tree.flatten(grads)
    sizes = [math.prod(g.shape[1:]) for g in leaves]
    shares = [1 / len(leaves) if uniform else size / sum(sizes) for size in sizes]
    pairs = [
        per_example_global_norm_clip(g, global_l2_norm_clip * share**0.5)
        for g, share in zip(leaves, shares, strict=True)
    ]
    sums, counts = zip(*pairs, strict=True) if pairs else ((), ())
    return jax.tree.unflatten(treedef, sums), jax.tree.unflatten(treedef, counts)
