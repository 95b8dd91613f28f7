"""The dominant eigenvalue of a matrix, or of a linear map of trees."""

from collections.abc import Callable
from typing import Any, Union

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, is_inexact, real_dtype, relaxed_promotion, tree_mismatch, widen
from ..core.types import ArrayTree
from ..tree import cast_like, norm, scale as times, sub, vdot, where
from .scaling import scaled

LinearMap = Callable[[ArrayTree], ArrayTree]


def power_iteration(
    matrix: Union[ArrayLike, LinearMap],
    *,
    v0: ArrayTree | None = None,
    num_iters: ArrayLike = 100,
    error_tolerance: ArrayLike = 1e-6,
    precision: jax.lax.Precision = jax.lax.Precision.HIGHEST,
    key: jax.Array | None = None,
) -> tuple[jax.Array, ArrayTree]:
    """The eigenvalue of largest modulus and its eigenvector: v <- A v / |A v|, eigenvalue v^T A v.

    Args:
        matrix: a square array (n, n), symmetric or at least diagonalizable, or a function that
            multiplies a tree by A, such as `lambda v: hessian_vector_product(loss, params, v)`.
        v0: where to begin, a vector (n,) or a tree like the function's argument; needed with a
            function, else drawn uniformly from [-1, 1].
        num_iters: products at most after the first, at least 0.
        error_tolerance: stops at |A v - eigenvalue v| <= error_tolerance |eigenvalue|.
        precision: of the products with an array.
        key: for drawing v0; None is `jax.random.PRNGKey(0)`.

    Returns: (eigenvalue, eigenvector). The eigenvector is like v0 and has norm 1. The eigenvalue has
        an array's dtype, and is at least float32 for a function. A zero matrix has eigenvalue 0.
    Raises: ValueError for an array that is not square, a v0 of another shape or none for a function.
    Reference: Golub and Van Loan, 2013, Matrix Computations, section 8.2.1.
    """
    if callable(matrix):
        if v0 is None:
            raise ValueError(
                "power_iteration: v0 is needed when matrix is a function: pass a tree like its argument."
            )
        start: Any = jax.tree.map(jnp.asarray, v0)
        dtype = None

        def multiply(v: Any) -> Any:
            product = matrix(cast_like(v, start))
            if jax.tree.structure(product) != jax.tree.structure(start):
                raise tree_mismatch("power_iteration", "product", product, "v0", start)
            return product
    else:
        a = jnp.asarray(matrix)
        a = a if is_inexact(a) else cast(a, float)
        start, dtype = _start(a, v0, key), a.dtype

        def multiply(v: Any) -> Any:
            with relaxed_promotion():
                return jnp.matmul(widen(a), v, precision=precision)

    def after(v: Any) -> tuple[Any, ...]:
        """A unit vector v, A v as a scaled tree and its scale, and v^T A v on that scale."""
        z, scale = scaled(multiply(v))
        return v, z, scale, vdot(v, z)

    def unit(v: Any, z: Any) -> Any:
        length = norm(z)
        return cast_like(where(length == 0, v, times(1 / jnp.where(length == 0, 1, length), z)), v)

    def unfinished(state: Any) -> Any:
        count, (v, z, _, eigenvalue) = state
        far = norm(sub(z, times(eigenvalue, v))) > error_tolerance * jnp.abs(eigenvalue)
        return (count < num_iters) & far

    def iteration(state: Any) -> Any:
        count, (v, z, _, _) = state
        return count + 1, after(unit(v, z))

    first = scaled(start)[0]
    state = jnp.zeros((), jnp.int32), after(unit(first, first))
    _, (v, z, scale, eigenvalue) = jax.lax.while_loop(unfinished, iteration, state)
    with relaxed_promotion():
        eigenvalue = eigenvalue * scale
    return cast(eigenvalue, dtype or eigenvalue.dtype), cast_like(unit(v, z), start)


def _start(a: jax.Array, v0: Any, key: jax.Array | None) -> jax.Array:
    """The first vector for an array."""
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"power_iteration: matrix must be square, (n, n), received shape {a.shape}.")
    if v0 is None:
        key = jax.random.PRNGKey(0) if key is None else key
        drawn = jax.random.uniform(key, a.shape[-1:], real_dtype(a.dtype), minval=-1.0, maxval=1.0)
        return cast(drawn, a.dtype)
    if jnp.shape(v0) != a.shape[-1:]:
        raise ValueError(
            f"power_iteration: v0 has shape {jnp.shape(v0)} but matrix has shape {a.shape}; "
            f"expected v0 of shape {a.shape[-1:]}."
        )
    return cast(v0, dtype_of(v0) if is_inexact(v0) else a.dtype)
