"""Functions of arrays whose gradients stay finite where the plain ones' do not."""

from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import cast, dtype_of, widen
from .numerics import abs_sq
from .types import ArrayTree


def safe_norm(
    x: Any,
    min_norm: Any,
    ord: int | float | str | None = None,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> jax.Array:
    """max(|x|, min_norm), with gradient 0 where min_norm is the larger: finite at x = 0.

    Args: x, an array; min_norm, at least 0; ord, axis and keepdims, as in `jnp.linalg.norm`.
    Returns: the norms, real, in `x`'s precision, computed in at least float32.
    """
    wide = widen(jnp.asarray(x))
    low = jnp.linalg.norm(wide, ord=ord, axis=axis, keepdims=True) <= min_norm
    moved = jnp.where(low, jnp.ones_like(wide), wide)
    sizes = jnp.linalg.norm(moved, ord=ord, axis=axis, keepdims=keepdims)
    result = jnp.where(low.reshape(sizes.shape), jnp.asarray(min_norm, sizes.dtype), sizes)
    return cast(result, jnp.abs(jnp.zeros((), dtype_of(x))).dtype)


def safe_root_mean_squares(x: Any, min_rms: Any) -> jax.Array:
    """max(sqrt(mean |x|^2), min_rms), with gradient 0 where min_rms is the larger: finite at x = 0.

    Args: x, an array; min_rms, at least 0.
    Returns: a scalar, real, in `x`'s precision, computed in at least float32.
    """
    wide = widen(jnp.asarray(x))
    low = jnp.sqrt(jnp.mean(abs_sq(wide))) <= min_rms
    size = jnp.sqrt(jnp.mean(abs_sq(jnp.where(low, jnp.ones_like(wide), wide))))
    result = jnp.where(low, jnp.asarray(min_rms, size.dtype), size)
    return cast(result, jnp.abs(jnp.zeros((), dtype_of(x))).dtype)


@jax.custom_jvp
def _scaled_backwards(x: Any, scale: Any) -> Any:
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
