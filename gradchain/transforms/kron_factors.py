"""Factors that whiten gradients, one for each axis, triangular or diagonal: the algebra of PSGD Kron."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core import compute_dtype
from ..core.matrices import adjoint, along, each_norm, gram, identities, product, unfolded
from ..core.numerics import abs_sq, ratio, sqrt
from ..core.types import Array

KronFactors = tuple[Array, ...]
"""For each axis Q: upper triangular (arrays, d, d), or diagonal (arrays, d), real and positive."""

DAMPING = float(jnp.finfo(jnp.float32).eps) ** 0.5
"""Noise added to gradients, in multiples of their mean size: it bounds Q where they are 0."""


def initial_factors(p: Any, diagonal: Sequence[bool], scale: Any) -> KronFactors:
    """Multiples of the identity whose product over the axes is `scale`, in at least float32."""
    dtype = compute_dtype(p.dtype)
    real = jnp.zeros((), dtype).real.dtype
    one = jnp.asarray(scale, real) ** (1 / len(diagonal))
    return tuple(
        jnp.broadcast_to(one, (p.shape[0], d))
        if flat
        else one.astype(dtype) * identities(jnp.zeros((p.shape[0],), dtype), d)
        for d, flat in zip(p.shape[1:], diagonal, strict=True)
    )


def is_diagonal(q: Array) -> bool:
    """Whether a factor is a diagonal."""
    return q.ndim == 2


def _along_axis(q: Array, x: Array, axis: int) -> Array:
    """A diagonal, to be multiplied with every array along one of its axes."""
    shape = [x.shape[0]] + [1] * (x.ndim - 1)
    shape[axis + 1] = q.shape[-1]
    return q.reshape(shape)


def applied(x: Array, factors: KronFactors) -> Array:
    """Q x along every axis."""
    for axis, q in enumerate(factors):
        x = _along_axis(q, x, axis) * x if is_diagonal(q) else along(q, x, axis)
    return x


def preconditioned(x: Array, factors: KronFactors) -> Array:
    """Q* Q x along every axis."""
    x = applied(x, factors)
    for axis, q in enumerate(factors):
        x = _along_axis(q, x, axis) * x if is_diagonal(q) else along(adjoint(q), x, axis)
    return x


def inverse_applied(x: Array, factors: KronFactors) -> Array:
    """Q^{-*} x along every axis."""
    for axis, q in enumerate(factors):
        if is_diagonal(q):
            x = x / _along_axis(q, x, axis)
        else:
            moved = jnp.moveaxis(x, axis + 1, 1)
            y = jax.scipy.linalg.solve_triangular(q, moved.reshape(*moved.shape[:2], -1), trans="C")
            x = jnp.moveaxis(y.reshape(moved.shape), 1, axis + 1)
    return x


def spectral_bound(a: Array) -> Array:
    """(arrays, 1, 1): the norm of Hermitian matrices from below, rarely less than 1 / sqrt(2) of it.

    Two steps of the power method from the column that is longest.
    """
    most = jax.lax.stop_gradient(jnp.max(jnp.abs(a), (-2, -1), keepdims=True))
    a = ratio(a, most)
    longest = jnp.argmax(jnp.sum(abs_sq(a), -2), -1)
    x = product(a, jnp.take_along_axis(a, longest[:, None, None], -1))
    return most * each_norm(product(a, ratio(x, each_norm(x))))


def balanced(factors: KronFactors) -> KronFactors:
    """The same product over the axes, of factors whose largest entries are equal.

    The scales count as constants in derivatives: the product does not depend on them.
    """
    if len(factors) == 1:
        return factors
    sizes = [jnp.max(jnp.abs(jax.lax.stop_gradient(q)), tuple(range(1, q.ndim))) for q in factors]
    mean = jnp.exp(sum(map(jnp.log, sizes)) / len(sizes))
    return tuple(
        q * (mean / n).reshape(-1, *[1] * (q.ndim - 1)) for q, n in zip(factors, sizes, strict=True)
    )


def fitted(g: Array, v: Array, factors: KronFactors, rate: Any) -> KronFactors:
    """One step on E[g* P g + v* P^{-1} v], P = Q* Q over all axes: g gradients, v normal noise.

    An array whose gradient is 0 keeps its factors. They would grow without end.
    """
    size = sqrt(abs_sq(g)) if jnp.iscomplexobj(g) else jnp.abs(g)
    mean = jnp.mean(size, tuple(range(1, g.ndim)), keepdims=True)
    a = applied(g + DAMPING * mean * v, factors)
    b = inverse_applied(v, factors)

    def moved(q: Array, axis: int) -> Array:
        if is_diagonal(q):
            s, t = (jnp.sum(abs_sq(unfolded(x, axis)), -1) for x in (a, b))
            change = ratio(s - t, jnp.max(s + t, -1, keepdims=True)) * q
        else:
            s, t = gram(a, axis), gram(b, axis)
            change = product(ratio(jnp.triu(s - t), spectral_bound(s + t)), q)
        told = (mean != 0).reshape(-1, *[1] * (q.ndim - 1))
        return jnp.where(told, q - rate * change, q)

    return tuple(moved(q, axis) for axis, q in enumerate(factors))
