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
    return _each(_eigh, jax.lax.stop_gradient(a))


def orthonormal(a: Array) -> Array:
    """The Q of the QR decomposition of every matrix; a constant in derivatives."""
    return _each(_q, jax.lax.stop_gradient(a))


@jax.custom_jvp
def basis_of(a: Array) -> Array:
    """The Q of the QR decomposition of every matrix, at least as tall as wide.

    Its derivative is 0 in columns that depend on those before them, where there is none.
    """
    return _each(_q, a)


@basis_of.defjvp
def _basis_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    q, r = _each(_qr, a)
    sizes = jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1))
    noise = jnp.finfo(r.dtype).eps * jnp.max(sizes, axis=-1, keepdims=True, initial=0)
    alive = (sizes > r.shape[-1] * noise)[..., None]
    one = identities(r, r.shape[-1])
    x = jax.lax.linalg.triangular_solve(jnp.where(alive, r, one), da, left_side=False, lower=False)
    x = jnp.where(jnp.swapaxes(alive, -1, -2), x, 0)
    turned = product(adjoint(q), x)
    lower = jnp.tril(turned, -1)
    phases = one * (turned - jnp.conj(turned)) / 2  # R has a real diagonal
    return q, x + product(q, lower - adjoint(lower) + phases - turned)


def _qr(x: Array) -> tuple[Array, Array]:
    q, r = jnp.linalg.qr(x)
    return q, r


def _q(x: Array) -> Array:
    return _qr(x)[0]


def _eigh(x: Array) -> tuple[Array, Array]:
    values, vectors = jnp.linalg.eigh(x)
    return values, vectors


def _each(f: Callable[[Array], Any], a: Array) -> Any:
    """`f` of every matrix of a stack; on a CPU one after another, under `vmap` too.

    There steps that decompose several stacks at once were seen to hang, all threads asleep (jaxlib 0.10.2
    on two cores), and decompositions one by one take no longer.
    """
    return jax.lax.map(jax.custom_batching.sequential_vmap(f), a) if one_by_one() else f(a)
