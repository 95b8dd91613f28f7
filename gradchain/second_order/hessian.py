"""The Hessian of a function of a parameter tree."""

from collections.abc import Callable
from typing import Any

import jax

from ..core.types import ArrayTree, Params
from .checks import parameters, scalar, vector
from .diagonal import diagonal


def hessian_vector_product(fun: Callable[..., Any], params: Params, v: ArrayTree, *args: Any) -> ArrayTree:
    """H v, for the Hessian H of fun(params, *args) in params: the derivative of the gradient along v.

    Args:
        fun: returns one real number; twice differentiable.
        params: a tree of real floating arrays; None leaves are left out.
        v: a tree like the parameters, cast to their dtypes.
        args: passed to fun, not differentiated.

    Returns: a tree like the parameters, in their dtypes, at the cost of about two gradients.
    Raises: TypeError for parameters that are not real floating point or for a fun that does not
        return a number; ValueError naming the leaf where v does not fit.
    Reference: Pearlmutter, 1994, Fast Exact Multiplication by the Hessian.
    """
    name = "hessian_vector_product"
    params = parameters(name, params)
    gradient = jax.grad(lambda p: scalar(name, "fun", fun)(p, *args))
    return jax.jvp(gradient, (params,), (vector(name, v, params),))[1]


def hessian_diagonal(
    fun: Callable[..., Any],
    params: Params,
    *args: Any,
    key: jax.Array | None = None,
    num_samples: int | None = None,
) -> Params:
    """The diagonal of the Hessian of fun(params, *args) in params, exact or by Hutchinson's method.

    Args:
        fun, params, args: as in `hessian_vector_product`.
        key, num_samples: None for the exact diagonal, one product per parameter; else a random key
            and the number of products, whose estimates `diagonal` describes.

    Returns: a tree like the parameters.
    Raises: as `hessian_vector_product` and `diagonal`.
    Reference: Bekas, Kokiopoulou and Saad, 2007, An estimator for the diagonal of a matrix.
    """
    name = "hessian_diagonal"
    params = parameters(name, params)
    gradient = jax.grad(lambda p: scalar(name, "fun", fun)(p, *args))
    return diagonal(jax.linearize(gradient, params)[1], params, key=key, num_samples=num_samples)
