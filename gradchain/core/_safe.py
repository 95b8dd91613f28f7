"""Functions of arrays whose gradients stay finite where the plain ones' do not."""

from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import cast, dtype_of, is_inexact, real_dtype, widen
from .norms import norms
from .types import ArrayTree


def _axes_of_vectors(ndim: int, ord: Any, axis: Any) -> tuple[int, ...] | None:
    """The axes along which the vectors lie, if `ord` and `axis` ask for the 2-norm of vectors."""
    axes = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    two = (axis is None or len(axes) <= 2) if ord is None else ord == 2 and len(axes) == 1
    return axes if two or (ord == "fro" and len(axes) == 2) else None


def _at_least(sizes: jax.Array, least: Any, x: Any) -> jax.Array:
    """max(sizes, least), with derivative 0 where that is `least`, in the precision of `x`."""
    result = jnp.where(sizes <= least, jnp.asarray(least, sizes.dtype), sizes)
    return cast(result, real_dtype(dtype_of(x))) if is_inexact(x) else result


def safe_norm(
    x: Any,
    min_norm: Any,
    ord: int | float | str | None = None,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> jax.Array:
    """max(|x|, min_norm), with gradient 0 where min_norm is the larger: finite at x = 0.

    Args: x, an array; min_norm, at least 0; ord, axis and keepdims, as in `jnp.linalg.norm`.
    Returns: the norms, real, in `x`'s precision, computed in at least float32. 2-norms of finite vectors
        are finite wherever they can be.
    """
    wide = widen(jnp.asarray(x))
    axes = _axes_of_vectors(wide.ndim, ord, axis)
    if axes is not None:
        sizes = norms([jnp.moveaxis(wide, axes, range(-len(axes), 0))], wide.ndim - len(axes))
        return _at_least(jnp.expand_dims(sizes, axes) if keepdims else sizes, min_norm, x)
    low = jnp.linalg.norm(wide, ord=ord, axis=axis, keepdims=True) <= min_norm
    moved = jnp.where(low, jnp.ones_like(wide), wide)
    sizes = jnp.linalg.norm(moved, ord=ord, axis=axis, keepdims=keepdims)
    return _at_least(
        jnp.where(low.reshape(sizes.shape), jnp.asarray(min_norm, sizes.dtype), sizes), min_norm, x
    )


def safe_root_mean_squares(x: Any, min_rms: Any) -> jax.Array:
    """max(sqrt(mean |x|^2), min_rms), with gradient 0 where min_rms is the larger: finite at x = 0.

    Args: x, an array; min_rms, at least 0.
    Returns: a scalar, real, in `x`'s precision, computed in at least float32.
    """
    return _at_least(norms([x]) / jnp.sqrt(float(jnp.size(x))), min_rms, x)


@jax.custom_jvp
def _scaled_backwards(x: Any, scale: Any) -> Any:
    del scale
    return x


@_scaled_backwards.defjvp
def _scaled_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    (x, scale), (dx, _) = primals, tangents
    return x, dx * jnp.asarray(scale, dtype_of(x))


def scale_gradient(inputs: ArrayTree, scale: Any) -> ArrayTree:
    """The inputs as they are, with gradients through them multiplied by `scale`.

    Args: inputs, a tree of arrays; scale, any number: 0 stops gradients, -1 reverses them.
    Reference: Ganin and Lempitsky, 2014, Unsupervised Domain Adaptation by Backpropagation,
        arXiv:1409.7495.
    """
    if isinstance(scale, (int, float)) and scale == 1:
        return inputs
    if isinstance(scale, (int, float)) and scale == 0:
        return jax.lax.stop_gradient(inputs)
    return jax.tree.map(lambda x: _scaled_backwards(x, scale), inputs)
