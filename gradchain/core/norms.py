"""The 2-norm, finite and more than 0 wherever it can be.

The squares of 1e20 and of 1e-25 are infinity and 0 in float32, their norms are not. The plain sum of
squares is taken first; only where it has left the range, it is taken again, of entries times a power of
two. That second pass reads the arrays themselves: the usual case pays nothing, unless what is measured
was computed for that alone and would not have been stored.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._dtypes import accumulator_dtype, dtype_of, is_inexact, moment_dtype, relaxed_promotion
from .numerics import abs_sq, sqrt


def _sum_dtype(xs: Sequence[Any]) -> np.dtype:
    """Where squares are summed: the widest real dtype among the arrays, at least float32."""
    dtypes = [accumulator_dtype(dtype_of(x)) for x in xs if is_inexact(x)]
    return max(dtypes, key=lambda d: d.itemsize, default=np.dtype(jnp.result_type(float)))


def _wide(x: Any, dtype: Any) -> jax.Array:
    return jnp.asarray(x, moment_dtype(dtype_of(x), dtype))


def _beside(scalars: jax.Array, x: Any) -> jax.Array:
    """One number for each batch, in a shape that meets `x`."""
    return scalars.reshape(scalars.shape + (1,) * (jnp.ndim(x) - scalars.ndim))


@functools.partial(jax.jit, static_argnums=(1, 2))
def _squares(x: Any, dtype: Any, batch: int, scale: Any = None) -> jax.Array:
    wide = _wide(x, dtype)
    with relaxed_promotion():
        wide = wide if scale is None else wide * _beside(scale, x)
    return jnp.sum(abs_sq(wide), tuple(range(batch, wide.ndim)))


def _total(parts: Sequence[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, parts)


def sum_of_squares(xs: Sequence[Any]) -> jax.Array:
    """The sum of |x|^2 over all entries of all arrays: a scalar, at least float32."""
    dtype = _sum_dtype(xs)
    return _total([_squares(x, dtype, 0) for x in xs]) if xs else jnp.zeros(())


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _differentiable(xs: list[Any], batch: int) -> tuple[jax.Array, jax.Array]:
    dtype = _sum_dtype(xs)
    limits = jnp.finfo(dtype)
    # Powers of two, so exact: the largest number's square fits with 2**40 others, the smallest's is normal.
    one, down, up = (
        jnp.asarray(2.0**e, dtype) for e in (0, -2 * limits.maxexp // 3, 3 * limits.maxexp // 4)
    )

    total = _total([_squares(x, dtype, batch) for x in xs])
    over, under = jnp.isinf(total), total < limits.tiny / limits.eps
    scale = jnp.where(over, down, jnp.where(under, up, one))

    def again(last: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return _total([_squares(x, dtype, batch, scale) for x in xs]), jnp.zeros_like(last[1])

    # A loop of at most one turn: unlike a conditional, it stays one under `vmap`.
    total, _ = jax.lax.while_loop(lambda last: jnp.any(last[1]), again, (total, over | under))
    return jnp.sqrt(total), scale


_root_and_scale = jax.jit(_differentiable, static_argnums=1)


@_differentiable.defjvp
def _jvp(batch: int, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (xs,), (dxs,) = primals, tangents
    root, scale = _root_and_scale(xs, batch)
    zero = root == 0

    def change(x: Any, dx: Any) -> jax.Array:
        with relaxed_promotion():
            unit = _wide(x, root.dtype) * _beside(scale, x) / _beside(jnp.where(zero, 1, root), x)
        slope = jnp.real(jnp.conj(unit) * _wide(dx, root.dtype))
        return jnp.sum(slope, tuple(range(batch, slope.ndim)))

    moved = jnp.where(zero, 0, scale * _total([change(*pair) for pair in zip(xs, dxs, strict=True)]))
    return (root, scale), (moved, jnp.zeros_like(scale))


def root_and_scale(xs: Sequence[Any], batch: int = 0) -> tuple[jax.Array, jax.Array]:
    """`(root, scale)`, the norm of all entries of all arrays being root / scale.

    The scale is 1 in the usual case. The root of finite entries is finite even where their norm is not.

    Args: xs, arrays of any dtypes, at least one; batch, how many first axes, the same in all arrays, tell
        one vector from the next.
    Returns: two real arrays of the batch's shape, at least float32. Derivatives are 0 at 0.
    """
    dtype = _sum_dtype(xs)
    floating = [x if is_inexact(x) else jnp.asarray(x, dtype) for x in xs]
    return _root_and_scale(floating, batch)


def norms(xs: Sequence[Any], batch: int = 0) -> jax.Array:
    """The 2-norms of all entries of all arrays, one for each index of the first `batch` axes."""
    root, scale = root_and_scale(xs, batch)
    return root / scale


def sum_sq_of(x: jax.Array) -> jax.Array:
    """The sum of |x|^2 of one array, as it is. XLA's CPU adds on all cores if the first axis goes first."""
    squares = abs_sq(x)
    return jnp.sum(jnp.sum(squares, axis=0)) if squares.ndim else squares


def norm_in_one_pass(x: Any) -> jax.Array:
    """The 2-norm of one array of at least float32, finite and more than 0 wherever it can be.

    For rules, which take one for each leaf: three sums in one pass over memory, and no conditional.
    """
    limits = jnp.finfo(x.dtype)
    down, up = 2.0 ** (-2 * limits.maxexp // 3), 2.0 ** (3 * limits.maxexp // 4)
    plain, small, large = (sum_sq_of(y) for y in (x, x * down, x * up))
    root = jnp.where(plain < limits.tiny / limits.eps, sqrt(large) / up, sqrt(plain))
    return jnp.where(jnp.isinf(plain), sqrt(small) / down, root)
