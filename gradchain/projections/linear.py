"""Projections onto a line, a hyperplane and a halfspace, all given by one vector."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import tree_mismatch
from ..core.numerics import abs_sq
from ..core.types import ArrayTree
from .l2 import normalized
from .vectors import Leaves, check_real, scalar, total, vector


def _normal(name: str, x: ArrayTree, a: ArrayTree, xs: Leaves) -> tuple[Leaves, jax.Array]:
    """The leaves of `a` in the dtype of those of `x`, divided by their largest, and the largest."""
    if jax.tree.structure(a) != jax.tree.structure(x):
        raise tree_mismatch(name, "vector x", x, "vector a", a)
    pairs = zip(jax.tree_util.tree_leaves_with_path(x), jax.tree.leaves(a), strict=True)
    for (path, leaf), other in pairs:
        if jnp.shape(leaf) != jnp.shape(other):
            raise ValueError(
                f"{name}: {jax.tree_util.keystr(path) or '(the only leaf)'} has shape {jnp.shape(leaf)} "
                f"in x but {jnp.shape(other)} in a; expected equal shapes."
            )
    normal = vector(a)[0]
    if xs and jnp.iscomplexobj(normal[0]) and not jnp.iscomplexobj(xs[0]):
        raise TypeError(f"{name}: a is complex but x is real; expected both real or a complex x.")
    return normalized([jnp.asarray(y, x.dtype) for x, y in zip(xs, normal, strict=True)])


def _dot(a: Leaves, x: Leaves) -> jax.Array:
    """The inner product <a, x>, in full precision on any hardware."""
    parts = [jnp.sum(jnp.conj(u) * v) for u, v in zip(a, x, strict=True)]
    return sum(parts[1:], parts[0]) if parts else jnp.zeros(())


def _gap(name: str, b: ArrayLike, m: jax.Array, a: Leaves, x: Leaves) -> jax.Array:
    """b / m - <a, x>, for `a` that was divided by m."""
    inner = _dot(a, x)
    return jnp.asarray(scalar(name, "b", b, x), inner.dtype) / jnp.asarray(m, inner.dtype) - inner


def _per_square(r: jax.Array, a: Leaves) -> jax.Array:
    """r / |a|^2; for a = 0 it is 0 if r is, and NaN if not, as then no point fulfils <a, y> = b."""
    square = jnp.asarray(total([abs_sq(u) for u in a], a), r.dtype)
    none = jnp.where(r == 0, jnp.zeros_like(r), jnp.full_like(r, jnp.nan))
    return jnp.where(square == 0, none, r / jnp.where(square == 0, 1, square))


def projection_vector(x: ArrayTree, a: ArrayTree) -> ArrayTree:
    """The closest multiple of `a`: p = a <a, x> / |a|^2.

    Args: x and `a`, pytrees of one structure, taken as one vector each, real or complex.
    Returns: a tree like x, in its dtypes, computed in at least float32; zeros if `a` is zero.
    Raises: ValueError, with the paths, for different structures or shapes.
    Reference: Strang, 2016, Introduction to Linear Algebra, section 4.2.
    """
    xs, back = vector(x)
    units, _ = _normal("projection_vector", x, a, xs)
    c = _per_square(_dot(units, xs), units)
    return back([c * u for u in units])


def projection_hyperplane(x: ArrayTree, a: ArrayTree, b: ArrayLike) -> ArrayTree:
    """The closest point with <a, y> = b: p = x + a (b - <a, x>) / |a|^2.

    Args: x and `a`, pytrees of one structure, taken as one vector each, real or complex; b, one
        number.
    Returns: a tree like x, in its dtypes, computed in at least float32. If `a` is zero: x for b = 0,
        else NaN, as there is no such point.
    Raises: ValueError, with the paths, for different structures or shapes.
    Reference: Parikh and Boyd, 2014, Proximal Algorithms, section 6.2.
    """
    name = "projection_hyperplane"
    xs, back = vector(x)
    units, m = _normal(name, x, a, xs)
    c = _per_square(_gap(name, b, m, units, xs), units)
    return back([x + c * u for x, u in zip(xs, units, strict=True)])


def projection_halfspace(x: ArrayTree, a: ArrayTree, b: ArrayLike) -> ArrayTree:
    """The closest point with <a, y> <= b: p = x + a min(b - <a, x>, 0) / |a|^2.

    Args: x and `a`, pytrees of one structure, taken as one vector each; b, one number.
    Returns: a tree like x, the same numbers if it is inside, in its dtypes, computed in at least
        float32. If `a` is zero: x for b >= 0, else NaN, as there is no such point.
    Raises: ValueError, with the paths, for different structures or shapes; TypeError for complex
        numbers.
    Reference: Parikh and Boyd, 2014, Proximal Algorithms, section 6.2.
    """
    name = "projection_halfspace"
    check_real(name, x)
    check_real(name, a)
    xs, back = vector(x)
    units, m = _normal(name, x, a, xs)
    c = _per_square(jnp.minimum(_gap(name, b, m, units, xs), 0), units)
    return back([x + c * u for x, u in zip(xs, units, strict=True)])
