"""Non-negative least squares."""

import jax
import jax.numpy as jnp

from ..core.types import Array, Numeric


def nnls(A: Array, b: Array, iters: int, unroll: int | bool = 1, L: Numeric | None = None) -> Array:
    """The x >= 0 that minimizes |A x - b|^2, by the fast projected gradient method.

    x_+ = max(0, y - A^T (A y - b) / L), with Nesterov's momentum in y.

    Args:
        A: a matrix [m, n].
        b: a vector [m], or a matrix [m, k] of k problems.
        iters: how many iterations; the error falls as 1 / iters^2.
        unroll: how many iterations to unroll, see `jax.lax.scan`.
        L: an upper bound of the largest eigenvalue of A^T A; None computes the smaller of two norms.

    Returns: x, [n] or [n, k].
    Raises: ValueError if the shapes do not fit.
    Reference: Beck and Teboulle, 2009, A Fast Iterative Shrinkage-Thresholding Algorithm for Linear
        Inverse Problems.

    Example:
        >>> A, b = jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([2.0, -1.0])
        >>> gc.nnls(A, b, iters=10).tolist()  # -1 is out of bounds
        [2.0, 0.0]
    """
    if A.ndim != 2 or b.ndim not in (1, 2) or b.shape[0] != A.shape[0]:
        raise ValueError(f"nnls: A must be [m, n] and b [m] or [m, k], received {A.shape} and {b.shape}.")
    gram, target = A.mT @ A, A.mT @ b
    if L is None:
        L = jnp.minimum(jnp.linalg.norm(gram), jnp.max(jnp.sum(jnp.abs(gram), axis=0), initial=0))
    bound = jnp.where(jnp.equal(L, 0), 1, L).astype(gram.dtype)

    def iteration(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
        x, y, c = carry
        c_next = (1 + jnp.sqrt(1 + 4 * c**2)) / 2
        x_next = jnp.maximum(y - (gram @ y - target) / bound, 0)
        return (x_next, x_next + (c - 1) / c_next * (x_next - x), c_next), None

    start = jnp.zeros_like(target)
    carry = start, start, jnp.zeros((), target.dtype)
    return jax.lax.scan(iteration, carry, length=iters, unroll=unroll)[0][0]
