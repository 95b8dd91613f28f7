"""The Gauss-Newton matrix of a model and a loss of its outputs."""

from collections.abc import Callable
from typing import Any

import jax

from ..core.types import ArrayTree, Params
from .checks import parameters, scalar, vector
from .diagonal import diagonal


def pulled_back(
    name: str,
    model: Callable[[Params], ArrayTree],
    params: Params,
    curvature: Callable[[ArrayTree, ArrayTree], ArrayTree],
) -> Callable[[ArrayTree], ArrayTree]:
    """v -> J^T C J v, J the derivative of the model and u -> C u a linear map of its outputs.

    Args: curvature, from the outputs and u to C u.
    """
    outputs, push = jax.linearize(model, params)
    parameters(name, outputs, "model output")
    pull = jax.linear_transpose(push, params)
    return lambda v: pull(curvature(outputs, push(v)))[0]


def _gauss_newton(name: str, model: Any, loss: Any, params: Params, inputs: Any, targets: Any) -> Any:
    gradient = jax.grad(lambda outputs: scalar(name, "loss", loss)(outputs, targets))

    def curvature(outputs: ArrayTree, u: ArrayTree) -> ArrayTree:
        return jax.jvp(gradient, (outputs,), (u,))[1]

    return pulled_back(name, lambda p: model(p, inputs), params, curvature)


def gauss_newton_vector_product(
    model: Callable[[Params, Any], ArrayTree],
    loss: Callable[[ArrayTree, Any], Any],
    params: Params,
    v: ArrayTree,
    inputs: Any,
    targets: Any,
) -> ArrayTree:
    """G v = J^T H J v: J the derivative of the model's outputs, H the loss's Hessian in them.

    G is the Hessian of loss(model(params, inputs), targets) without the model's curvature. It is
    positive semidefinite where the loss is convex in the outputs.

    Args:
        model: model(params, inputs) gives the outputs, a tree of real floating arrays.
        loss: loss(outputs, targets) gives one real number; twice differentiable in the outputs.
        params: a tree of real floating arrays; None leaves are left out.
        v: a tree like the parameters, cast to their dtypes.
        inputs, targets: anything the two functions take.

    Returns: a tree like the parameters, in their dtypes.
    Raises: TypeError for parameters or outputs that are not real floating point or for a loss that
        does not return a number; ValueError naming the leaf where v does not fit.
    Reference: Schraudolph, 2002, Fast Curvature Matrix-Vector Products for Second-Order Gradient
        Descent; Martens, 2014, New Insights and Perspectives on the Natural Gradient Method,
        arXiv:1412.1193.
    """
    name = "gauss_newton_vector_product"
    params = parameters(name, params)
    v = vector(name, v, params)
    return _gauss_newton(name, model, loss, params, inputs, targets)(v)


def gauss_newton_diagonal(
    model: Callable[[Params, Any], ArrayTree],
    loss: Callable[[ArrayTree, Any], Any],
    params: Params,
    inputs: Any,
    targets: Any,
    *,
    key: jax.Array | None = None,
    num_samples: int | None = None,
) -> Params:
    """The diagonal of the Gauss-Newton matrix, exact or by Hutchinson's method.

    Args:
        model, loss, params, inputs, targets: as in `gauss_newton_vector_product`.
        key, num_samples: None for the exact diagonal, one product per parameter; else a random key
            and the number of products, whose estimates `diagonal` describes. They may be negative.

    Returns: a tree like the parameters.
    Raises: as `gauss_newton_vector_product` and `diagonal`.
    Reference: Bekas, Kokiopoulou and Saad, 2007, An estimator for the diagonal of a matrix.
    """
    name = "gauss_newton_diagonal"
    params = parameters(name, params)
    product = _gauss_newton(name, model, loss, params, inputs, targets)
    return diagonal(product, params, key=key, num_samples=num_samples)
