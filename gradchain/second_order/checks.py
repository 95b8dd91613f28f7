"""What every product asks of its arguments."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import cast, dtype_of, tree_mismatch
from ..core.types import ArrayTree, Params


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path) or "(the only leaf)"


def parameters(name: str, params: Params, what: str = "parameter") -> Params:
    """The tree as arrays; TypeError naming the leaf unless all are real floating point."""

    def check(path: Any, x: Any) -> jax.Array:
        if not jnp.issubdtype(dtype_of(x), jnp.floating):
            raise TypeError(
                f"{name}: {what} {_name(path)} has dtype {dtype_of(x)}; "
                "expected real floating point. Leave other leaves out, as None or by closing over them."
            )
        return jnp.asarray(x)

    return jax.tree_util.tree_map_with_path(check, params)


def vector(name: str, v: ArrayTree, params: Params) -> ArrayTree:
    """`v` in the parameters' dtypes; ValueError naming the leaf where structure or shape differ."""
    if jax.tree.structure(v) != jax.tree.structure(params):
        raise tree_mismatch(name, "vector", v, "parameters", params)

    def check(path: Any, x: Any, p: jax.Array) -> jax.Array:
        if jnp.shape(x) != p.shape:
            raise ValueError(
                f"{name}: vector {_name(path)} has shape {jnp.shape(x)} "
                f"but its parameter has shape {p.shape}."
            )
        return cast(x, p.dtype)

    return jax.tree_util.tree_map_with_path(check, v, params)


def scalar(name: str, what: str, fun: Callable[..., Any]) -> Callable[..., jax.Array]:
    """`fun` with an error where it does not return one real number."""

    def checked(*args: Any) -> jax.Array:
        value = fun(*args)
        leaf = jax.tree_util.all_leaves([value])
        if not leaf or jnp.shape(value) != () or not jnp.issubdtype(dtype_of(value), jnp.floating):
            received = f"shape {jnp.shape(value)}, {dtype_of(value)}" if leaf else type(value).__name__
            raise TypeError(
                f"{name}: {what} must return one real number, received {received}. "
                "Take the mean of losses per example; return no auxiliary values."
            )
        return jnp.asarray(value)

    return checked
