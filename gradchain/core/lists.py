"""Formulas on lists of arrays, one for each leaf: what rules for all arrays are written with."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import compute_dtype, dtype_of, is_inexact, real_dtype
from ._one_pass import in_one_pass
from .numerics import abs_sq
from .types import Array, Params


def each(f: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
    """`f` of every row, traced once per distinct shape."""
    compiled = jax.jit(f)
    return [compiled(*row) for row in zip(*columns, strict=True)]


def each_with(f: Callable[..., Any], settings: Sequence[Any], *columns: Sequence[Any]) -> list[Any]:
    """`f(setting, *row)` of every row: settings are static, traced once per distinct one and shape."""
    compiled = jax.jit(f, static_argnums=0)
    return [compiled(*row) for row in zip(settings, *columns, strict=True)]


def each_of(n: int, f: Callable[..., tuple[Any, ...]], *columns: Sequence[Any]) -> list[list[Any]]:
    """`each` for an `f` that returns `n` arrays: `n` lists, computed in one pass over memory."""
    compiled = in_one_pass(f)
    rows = [compiled(*row) for row in zip(*columns, strict=True)]
    return [[row[i] for row in rows] for i in range(n)]


def total(parts: Sequence[Any]) -> Any:
    """The sum of scalars; 0 if there are none."""
    return sum(parts[1:], start=parts[0]) if parts else jnp.zeros(())


def dot(xs: Sequence[Any], ys: Sequence[Any]) -> Array:
    """The real inner product of two lists of arrays."""
    return total(each(lambda x, y: jnp.sum(jnp.real(jnp.conj(x) * y)), xs, ys))


def sum_sq(xs: Sequence[Any]) -> Array:
    """The squared norm of a list of arrays."""
    return total(each(lambda x: jnp.sum(abs_sq(x)), xs))


def sum_abs(xs: Sequence[Any]) -> Array:
    """The 1-norm of a list of arrays."""
    return total(each(lambda x: jnp.sum(jnp.abs(x)), xs))


def scalar_dtype(params: Params) -> Any:
    """The dtype of a scalar that goes with the whole tree: its narrowest, real, at least float32."""
    found = [compute_dtype(real_dtype(dtype_of(p))) for p in jax.tree.leaves(params) if is_inexact(p)]
    return min(found, key=lambda d: d.itemsize) if found else jax.dtypes.canonicalize_dtype(float)
