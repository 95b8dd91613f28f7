"""Inverse roots of symmetric matrices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, is_inexact, widen
from .power_iteration import power_iteration
from .scaling import binary_scale


def matrix_inverse_pth_root(
    matrix: ArrayLike,
    p: ArrayLike,
    num_iters: ArrayLike = 100,
    ridge_epsilon: ArrayLike = 1e-6,
    error_tolerance: ArrayLike = 1e-6,
    precision: jax.lax.Precision = jax.lax.Precision.HIGHEST,
) -> tuple[jax.Array, jax.Array]:
    """(A + ridge_epsilon max(l, 1e-16) I)^(-1/p), l the largest eigenvalue of A; by coupled Newton.

    T = ((p + 1) I - M) / p,  M <- T^p M,  H <- H T,  from M = z A, H = z^(1/p) I and z = (p + 1) / (2 |A|).
    M tends to I and H to the root.

    Args:
        matrix: A, symmetric positive semidefinite, (n, n).
        p: the root, an integer of at least 1, such as 1 (the inverse), 2 or 4.
        num_iters: steps of Newton's method at most.
        ridge_epsilon: what is added to the diagonal, relative to the largest eigenvalue.
        error_tolerance: stops at max |M - I| <= error_tolerance.
        precision: of the matrix products. Less than HIGHEST may not converge.

    Returns: (root, error). The root is in the matrix's dtype, computed in at least float32; error is
        max |M - I|, float32 or float64. If it is above error_tolerance, the method has not converged.
        In float32 expect a relative error of about 1e-7 times the condition number to the power
        1/2 to 1; no NaN for a zero or singular matrix or for entries of 1e-20 or 1e20.
    Raises: ValueError for a matrix that is not square or a p that is not an integer of at least 1.
    Reference: Guo and Higham, 2006, A Schur-Newton Method for the Matrix pth Root and its Inverse.
    """
    a = jnp.asarray(matrix)
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(
            f"matrix_inverse_pth_root: matrix must be square, (n, n), received shape {a.shape}."
        )
    if isinstance(p, (int, float)) and not (p >= 1 and float(p).is_integer()):
        raise ValueError(f"matrix_inverse_pth_root: p must be an integer of at least 1, received {p}.")
    dtype = a.dtype if is_inexact(a) else jnp.float32
    wide = widen(cast(a, dtype))
    exponent, p = (int(p) if isinstance(p, (int, float)) else p), jnp.asarray(p, wide.dtype)
    identity = jnp.eye(len(a), dtype=wide.dtype)

    def multiply(x: Any, y: Any) -> jax.Array:
        return jnp.matmul(x, y, precision=precision)

    def error_of(m: Any) -> jax.Array:
        return jnp.max(jnp.abs(m - identity), initial=0)

    def unfinished(state: Any) -> Any:
        count, _, _, error, improves = state
        return (count < num_iters) & (error > error_tolerance) & improves

    def iteration(state: Any) -> Any:
        count, m, h, error, _ = state
        t = ((p + 1) * identity - m) / p
        new_m, new_h = multiply(_power(t, exponent, multiply), m), multiply(h, t)
        new_error = error_of(new_m)
        improves = new_error < 1.2 * error  # before it converges the error may rise a little
        kept = [jnp.where(improves, x, y) for x, y in ((new_m, m), (new_h, h), (new_error, error))]
        return count + 1, *kept, improves

    largest = power_iteration(wide, precision=precision)[0]
    ridge = jnp.asarray(ridge_epsilon, wide.dtype) * jnp.maximum(largest, 1e-16)
    scale = binary_scale(jnp.max(jnp.abs(wide), initial=0) + ridge)
    damped = wide / scale + ridge / scale * identity
    if len(a) == 1:
        m, h = identity, damped ** (-1 / p)
    else:
        z = (p + 1) / (2 * jnp.linalg.norm(damped))
        m, h = z * damped, z ** (1 / p) * identity
    state = jnp.zeros((), jnp.int32), m, h, error_of(m), jnp.asarray(True)
    _, _, h, error, _ = jax.lax.while_loop(unfinished, iteration, state)
    return cast(h * scale ** (-1 / p), dtype), error


def _power(x: jax.Array, n: Any, multiply: Callable[[Any, Any], jax.Array]) -> jax.Array:
    """x^n by squaring, for an n of at least 1 that may be traced."""
    if isinstance(n, int):
        if n == 1:
            return x
        half = _power(x, n // 2, multiply)
        square = multiply(half, half)
        return multiply(square, x) if n % 2 else square

    def step(state: Any) -> Any:
        n, square, result = state
        result = jax.lax.cond(n % 2 == 1, multiply, lambda x, _: x, result, square)
        return n // 2, multiply(square, square), result

    start = jnp.asarray(n, jnp.int32), x, jnp.eye(len(x), dtype=x.dtype)
    return jax.lax.while_loop(lambda state: state[0] > 0, step, start)[2]
