"""Optax's three helpers, which it has deprecated: products and diagonals of raveled parameters."""

from collections.abc import Callable
from typing import Any

import jax
from jax.flatten_util import ravel_pytree

from ..core.types import Params
from .hessian import hessian_diagonal, hessian_vector_product

LossFn = Callable[..., Any]


def hvp(loss: LossFn, v: jax.Array, params: Params, inputs: jax.Array, targets: jax.Array) -> Params:
    """The Hessian of loss(params, inputs, targets) times v, for v the raveled parameters' like.

    Returns: a tree like the parameters.
    Raises: ValueError for a v of another shape.
    """
    flat, unravel = ravel_pytree(params)
    if v.shape != flat.shape:
        raise ValueError(f"hvp: v has shape {v.shape} but the raveled parameters have shape {flat.shape}.")
    return hessian_vector_product(loss, params, unravel(v.astype(flat.dtype)), inputs, targets)


def hessian_diag(loss: LossFn, params: Params, inputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The diagonal of the Hessian of loss(params, inputs, targets), raveled."""
    return ravel_pytree(hessian_diagonal(loss, params, inputs, targets))[0]


def fisher_diag(
    negative_log_likelihood: LossFn, params: Params, inputs: jax.Array, targets: jax.Array
) -> jax.Array:
    """The squared gradient of negative_log_likelihood(params, inputs, targets), raveled.

    For one example this is the diagonal of the empirical Fisher matrix. For the mean over a batch it
    is not, since the square of a mean is not the mean of squares.
    """
    return ravel_pytree(jax.grad(negative_log_likelihood)(params, inputs, targets))[0] ** 2
