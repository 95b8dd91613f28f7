"""Gradients of a mean over a batch that many devices share, each of which keeps its part."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from ..core import varying
from ..core.types import Params, PyTree
from ._compat import shard_map
from .division import check_mesh, divided


def sharded_value_and_grad(
    fun: Callable[..., Any], mesh: Mesh, axis: str = "data", *, has_aux: bool = False, specs: PyTree = None
) -> Callable[..., Any]:
    """`jax.value_and_grad` of a mean over a batch: each device takes its share and keeps its part.

        value_and_grad = sharded_value_and_grad(loss, mesh)
        tx = zero1(adamw(1e-3), mesh)

        @jax.jit
        def train_step(params, state, x, y):
            value, grads = value_and_grad(params, x, y)
            return *tx.step(grads, state, params), value

    A gradient is summed and divided by one reduce-scatter for each parameter, half of what an all-reduce
    moves, and lies where `zero1` with the same `mesh`, `axis` and `specs` wants it. Parameters that do not
    divide have an all-reduce.

    Args:
        fun: `fun(params, *batch)`, a mean over the batch's leading axis: each device's is of its share.
        mesh, axis, specs: see `zero1`. The batch is cut along its leading axis over `axis`.
        has_aux: whether `fun` gives `(value, aux)`: floating-point arrays, of which means are taken too.

    Returns: `f(params, *batch)`, which gives `(value, gradients)`, or `((value, aux), gradients)`. Under
        `jit` or outside of it.
    Raises: TypeError or ValueError as `zero1` does; ValueError for a batch that the axis does not divide.
    """
    who = "sharded_value_and_grad"
    check_mesh(who, mesh, axis)
    parts = mesh.shape[axis]

    def value_and_grad(params: Params, *batch: Any) -> Any:
        found = divided(who, params, mesh, axis, specs)
        _check_batch(who, batch, axis, parts)
        treedef = jax.tree.structure(params)

        def mean_over_axis(x: Any) -> Any:
            if not jnp.issubdtype(x.dtype, jnp.inexact):
                raise TypeError(
                    f"{who}: aux has an array of {x.dtype}; it must hold floating-point numbers, of which "
                    "means are taken over the devices."
                )
            return jax.lax.pmean(x, axis)

        def own(params: Params, *batch: Any) -> Any:
            differing = varying(params, axis)  # or `grad` would sum over the devices already
            value, grads = jax.value_and_grad(fun, has_aux=has_aux)(differing, *batch)
            value = jax.tree.map(mean_over_axis, value)
            pairs = zip(treedef.flatten_up_to(grads), found.dims, strict=True)
            return value, treedef.unflatten(_summed(g, dim, axis) / parts for g, dim in pairs)

        def only(dim: int | None) -> PartitionSpec:
            return PartitionSpec() if dim is None else PartitionSpec(*[None] * dim, axis)

        outs = (PartitionSpec(), treedef.unflatten(map(only, found.dims)))
        ins = (PartitionSpec(), *(PartitionSpec(axis) for _ in batch))
        return shard_map(own, mesh, axis, ins, outs)(params, *batch)

    return value_and_grad


def _summed(g: Any, dim: int | None, axis: str) -> Any:
    """The sum over the devices: each one's part of it, or all of it."""
    if dim is None:
        return jax.lax.psum(g, axis)
    return jax.lax.psum_scatter(g, axis, scatter_dimension=dim, tiled=True)


def _check_batch(who: str, batch: Any, axis: str, parts: int) -> None:
    for path, x in jax.tree_util.tree_flatten_with_path(batch)[0]:
        if jnp.ndim(x) == 0 or jnp.shape(x)[0] % parts:
            raise ValueError(
                f"{who}: batch argument {jax.tree_util.keystr(path)} has shape {jnp.shape(x)}; its leading "
                f"axis must be a multiple of {parts}, the size of {axis!r}. Close over what is no batch."
            )
