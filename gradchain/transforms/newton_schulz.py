"""Orthogonalizing matrices by Newton-Schulz iterations."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..core.numerics import abs_sq, sqrt
from ..core.types import Array, Numeric

Preconditioning = Literal["frobenius", "spectral", "aol", "schatten"]
PRECONDITIONINGS = ("frobenius", "spectral", "aol", "schatten")

GRAM_RESTART = 2
"""After so many rows the Gram matrix is computed anew from x: else float16 diverges."""


def _gram(x: Array) -> Array:
    return x @ jnp.conj(jnp.swapaxes(x, -1, -2))


@jax.jit  # traced once for all steps
def _polynomial(x: Array, a: Array, coefficients: Array) -> Array:
    """c_0 x + (c_1 a + c_2 a^2) x, with a = x x*."""
    return coefficients[0] * x + (coefficients[1] * a + coefficients[2] * a @ a) @ x


@jax.jit
def _iteration(x: Array, coefficients: Array) -> Array:
    return _polynomial(x, _gram(x), coefficients)


def _frobenius(x: Array) -> Array:
    return sqrt(jnp.sum(abs_sq(x), axis=(-2, -1), keepdims=True))


def _normalized(x: Array, kind: str, eps: Numeric, margin: float) -> tuple[Array, Array | None]:
    """`x` with singular values of at most about 1, and its Gram matrix (None if not computed)."""
    if kind == "frobenius":
        return x / (_frobenius(x) * margin + eps), None
    if kind == "spectral":
        return x / (jnp.linalg.norm(x, ord=2, axis=(-2, -1), keepdims=True) * margin + eps), None
    a = _gram(x)
    if kind == "aol":
        size = jnp.maximum(jnp.sum(jnp.abs(a), axis=-1, keepdims=True), 1e-8)
        s = jax.lax.rsqrt(size) / margin
        return x * s, a * s * jnp.swapaxes(s, -1, -2)
    s = jax.lax.rsqrt(jnp.maximum(_frobenius(a), 1e-8)) / margin
    return x * s, a * s**2


def orthogonalized(
    x: Array,
    coefficients: Array,
    steps: Numeric,
    preconditioning: str = "frobenius",
    eps: Numeric = 1e-8,
    *,
    margin: float = 1.0,
    gram: bool = False,
    repeats: bool = False,
) -> Array:
    """Brings the singular values of every matrix of a stack near 1.

    x = c_0 x + (c_1 x x* + c_2 (x x*)^2) x, `steps` times, after division by a norm.

    Args:
        x: (matrices, rows, columns), with at most as many rows as columns.
        coefficients: (3,), the same for all steps, or (steps, 3).
        steps: the number of steps, if the coefficients are the same for all of them.
        preconditioning: the norm: "frobenius", "spectral" (by singular values), "aol" (row sums of
            the Gram matrix) or "schatten" (the 4-norm).
        eps: added to the norm.
        margin: times the norm, at least 1.
        gram: iterates on the Gram matrices alone, which are smaller where columns are many.
        repeats: where the number of steps is traced, takes the rows in turn and repeats the last.
    """
    coefficients = coefficients.astype(jnp.finfo(x.dtype).dtype)
    x, a = _normalized(x, preconditioning, eps, margin)
    if coefficients.ndim == 2 and repeats and isinstance(steps, Tracer):
        x = x if a is None else _polynomial(x, a, coefficients[0])
        last, start = len(coefficients) - 1, 0 if a is None else 1
        return jax.lax.fori_loop(
            start, steps, lambda i, x: _iteration(x, coefficients[jnp.minimum(i, last)]), x
        )
    if coefficients.ndim == 2:
        rows = list(coefficients)
    elif isinstance(steps, int):
        rows = [coefficients] * steps
    else:
        start = 0 if a is None else 1
        x = x if a is None else _polynomial(x, a, coefficients)
        return jax.lax.fori_loop(start, steps, lambda _, x: _iteration(x, coefficients), x)
    if gram and x.shape[-2] < x.shape[-1]:
        return _by_gram(x, rows, a)
    for row in rows:
        x, a = _iteration(x, row) if a is None else _polynomial(x, a, row), None
    return x


def _by_gram(x: Array, rows: Sequence[Any], a: Array | None) -> Array:
    """The same iteration for q and r alone, with x_k = q x and r = x_k x_k*; then x = q x."""
    for first in (0, GRAM_RESTART):
        part = rows[:GRAM_RESTART] if first == 0 else rows[GRAM_RESTART:]
        r = _gram(x) if a is None else a
        one = jnp.broadcast_to(jnp.eye(r.shape[-1], dtype=r.dtype), r.shape)
        q, a = one, None
        for row in part:
            z = row[0] * one + row[1] * r + row[2] * r @ r
            q, r = z @ q, z @ r @ z
        x = q @ x if part else x
    return x
