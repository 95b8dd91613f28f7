"""Formulas on stacks of arrays (arrays, *dims): what rules for `matrixwise` are written with.

Products are in full precision also where a device would round their factors to bfloat16: eigenvectors and
inverse roots do not forgive it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ._division import one_by_one
from .numerics import abs_sq, sqrt
from .types import Array

HIGHEST = jax.lax.Precision.HIGHEST


def product(x: Array, y: Array) -> Array:
    """The matrix products of two stacks."""
    return jnp.matmul(x, y, precision=HIGHEST)


def adjoint(x: Array) -> Array:
    """The matrices of a stack transposed, and conjugated."""
    return jnp.conj(jnp.swapaxes(x, -1, -2))


def unfolded(x: Array, axis: int) -> Array:
    """(arrays, d, rest): every array as a matrix whose rows belong to one of its axes, from 0."""
    x = jnp.moveaxis(x, axis + 1, 1)
    return x.reshape(*x.shape[:2], -1)


def gram(x: Array, axis: int) -> Array:
    """(arrays, d, d): G G* of every array unfolded along one of its axes."""
    g = unfolded(x, axis)
    return product(g, adjoint(g))


def along(matrices: Array, x: Array, axis: int) -> Array:
    """Multiplies every array along one of its axes by a matrix (arrays, e, d)."""
    if axis + 2 == x.ndim:  # from the right: no array is transposed
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return product(flat, jnp.swapaxes(matrices, 1, 2)).reshape(*x.shape[:-1], matrices.shape[1])
    moved = jnp.moveaxis(x, axis + 1, 1)
    y = product(matrices, moved.reshape(*moved.shape[:2], -1))
    return jnp.moveaxis(y.reshape(*y.shape[:2], *moved.shape[2:]), 1, axis + 1)


def each_norm(x: Array) -> Array:
    """(arrays, 1, ...): the 2-norm of every array of a stack, with derivative 0 where it is 0."""
    return sqrt(jnp.sum(abs_sq(x), tuple(range(1, x.ndim)), keepdims=True))


def identities(x: Any, d: int) -> Array:
    """(arrays, d, d): the identity for every array of the stack `x`, in its dtype."""
    return jnp.broadcast_to(jnp.eye(d, dtype=x.dtype), (x.shape[0], d, d))


def eigh(a: Array) -> tuple[Array, Array]:
    """Eigenvalues (arrays, d), smallest first, and eigenvectors in columns, of Hermitian matrices.

    They count as constants in derivatives: where eigenvalues are equal there are none.
    """
    values, vectors = _each(jnp.linalg.eigh, jax.lax.stop_gradient(a))
    return values, vectors


def orthonormal(a: Array) -> Array:
    """The Q of the QR decomposition of every matrix; a constant in derivatives."""
    return _each(lambda x: jnp.linalg.qr(x)[0], jax.lax.stop_gradient(a))


def _each(f: Callable[[Array], Any], a: Array) -> Any:
    """`f` of every matrix of a stack; on a CPU one after another.

    There steps that decompose several stacks at once were seen to hang, all threads asleep (jaxlib 0.10.2
    on two cores), and decompositions one by one take no longer.
    """
    return jax.lax.map(f, a) if one_by_one() else f(a)
