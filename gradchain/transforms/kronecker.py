"""What preconditioners with a factor for each axis have in common."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core import compute_dtype
from ..core.matrices import adjoint, along, eigh, identities, orthonormal, product
from ..core.types import Array

Factors = tuple[Array | None, ...]
"""For each axis (arrays, d, d), or None where an axis has no factor."""


def factored_axes(
    dims: Sequence[int], most: int, one_sided: bool = False, vectors: bool = True
) -> list[bool]:
    """Which axes of an array have a factor.

    Args:
        dims: the shape.
        most: a longer axis has none.
        one_sided: of a matrix only the shorter axis has one, the first of two equal ones.
        vectors: whether the axis of a vector has one.
    """
    shortest = min(range(len(dims)), key=dims.__getitem__, default=None)
    wanted = vectors or len(dims) > 1
    return [wanted and d <= most and (not one_sided or i == shortest) for i, d in enumerate(dims)]


def remark_on_axes(axes_of: Callable[[Sequence[int]], list[bool]]) -> Callable[[tuple[int, ...]], str]:
    """What `describe` says of arrays some of whose axes have no factor."""

    def remark(dims: tuple[int, ...]) -> str:
        left = [str(d) for d, wanted in zip(dims, axes_of(dims), strict=True) if not wanted and d > 1]
        return f"has no factor for its axis of {' and '.join(left)}" if left else ""

    return remark


def factors_of(p: Any, axes: Sequence[bool], make: Callable[[int], Array]) -> Factors:
    """`make(d)` for every axis of the stack `p` that has a factor."""
    return tuple(make(d) if wanted else None for d, wanted in zip(p.shape[1:], axes, strict=True))


def no_factors(p: Any, axes: Sequence[bool]) -> Factors:
    """Zeros, in at least float32, where the stack `p` has factors."""
    dtype = compute_dtype(p.dtype)
    return factors_of(p, axes, lambda d: jnp.zeros((p.shape[0], d, d), dtype))


def identity_factors(p: Any, axes: Sequence[bool]) -> Factors:
    """Identities, in at least float32, where the stack `p` has factors."""
    return tuple(None if z is None else z + identities(z, z.shape[-1]) for z in no_factors(p, axes))


def with_factor(f: Callable[..., Array], *columns: Sequence[Any]) -> Factors:
    """`f` of every axis that has a factor."""
    return tuple(None if row[0] is None else f(*row) for row in zip(*columns, strict=True))


def rotated(x: Array, bases: Factors) -> Array:
    """Every array in the bases of its axes: Q* x along each."""
    for axis, q in enumerate(bases):
        x = x if q is None else along(adjoint(q), x, axis)
    return x


def rotated_back(x: Array, bases: Factors) -> Array:
    """The array of its coordinates: Q x along each axis."""
    for axis, q in enumerate(bases):
        x = x if q is None else along(q, x, axis)
    return x


def eigenbasis(a: Array) -> Array:
    """Eigenvectors of Hermitian matrices, largest eigenvalue first."""
    return eigh(a + jnp.asarray(1e-30, a.dtype) * identities(a, a.shape[-1]))[1][..., ::-1]


def power_step(a: Array, q: Array) -> Array:
    """The basis after one step of the QR algorithm: nearer to the eigenvectors of `a`."""
    return orthonormal(product(a, q))


def eigenvalue_order(a: Array, q: Array) -> Array:
    """(arrays, d): the columns of a basis by the eigenvalues that they stand for, largest first."""
    values = jnp.sum(jnp.real(jnp.conj(q) * product(a, q)), axis=-2)
    return jnp.argsort(jax.lax.stop_gradient(-values), axis=-1)


def taken(x: Array, order: Array, axis: int) -> Array:
    """Every array of a stack with the entries of one of its axes in an order of its own."""
    shape = [x.shape[0]] + [1] * (x.ndim - 1)
    shape[axis + 1] = order.shape[-1]
    return jnp.take_along_axis(x, order.reshape(shape), axis + 1)


def inverse_root(a: Array, root: int, eps: Any) -> Array:
    """(a + eps)^{-1 / root} of positive semidefinite matrices; 0 in directions in which a + eps is 0.

    Eigenvalues that rounding made negative count as 0.
    """
    below = jnp.minimum(jnp.min(eigh(a)[0], axis=-1), 0)
    shift = (eps - below)[:, None, None].astype(a.dtype)
    return _inverse_root(a + shift * identities(a, a.shape[-1]), root)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _inverse_root(a: Array, root: int) -> Array:
    values, vectors = eigh(a)
    return product(vectors * _power(values, root)[:, None], adjoint(vectors))


@_inverse_root.defjvp
def _inverse_root_jvp(root: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """By divided differences, which exist where eigenvalues are equal too (Daleckii and Krein, 1965)."""
    (a,), (da,) = primals, tangents
    values, vectors = eigh(a)
    powers = _power(values, root)
    x, y = values[:, :, None], values[:, None]
    near = jnp.abs(x - y) <= 1e-3 * jnp.maximum(jnp.abs(x), jnp.abs(y))
    mean = (x + y) / 2
    slopes = jnp.where(
        near,
        -_power(mean, root) / root / jnp.where(mean > 0, mean, 1),
        (powers[:, :, None] - powers[:, None]) / jnp.where(near, 1, x - y),
    )
    inner = product(product(adjoint(vectors), da), vectors)
    change = product(product(vectors, slopes * inner), adjoint(vectors))
    return product(vectors * powers[:, None], adjoint(vectors)), change


def _power(values: Array, root: int) -> Array:
    return jnp.where(values > 0, jnp.where(values > 0, values, 1) ** (-1 / root), 0)


def multiplied(factors: Factors, x: Array) -> Array:
    """Every array times a factor along each of its axes."""
    for axis, m in enumerate(factors):
        x = x if m is None else along(m, x, axis)
    return x
