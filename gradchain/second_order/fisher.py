"""The Fisher information of a model's predictive distribution, exact: no targets, no sampling of them."""

from collections.abc import Callable
from typing import Any, Literal, Union

import jax
import jax.numpy as jnp

from ..core import cast, widen
from ..core.types import ArrayTree, Params
from .checks import parameters, vector
from .diagonal import diagonal
from .gauss_newton import pulled_back


def _categorical(logits: Any, u: Any) -> Any:
    p = jax.nn.softmax(logits)
    return p * (u - jnp.sum(p * u, axis=-1, keepdims=True))


def _bernoulli(logits: Any, u: Any) -> Any:
    return jax.nn.sigmoid(logits) * jax.nn.sigmoid(-logits) * u


LIKELIHOODS: dict[str, Callable[[Any, Any], Any]] = {
    "categorical": _categorical,
    "bernoulli": _bernoulli,
    "normal": lambda means, u: u,
    "poisson": lambda log_rates, u: jnp.exp(log_rates) * u,
}
"""By name: from the natural parameters f and u to Cov(y | f) u, which is the Fisher matrix in f times u."""

Likelihood = Union[
    Literal["categorical", "bernoulli", "normal", "poisson"], Callable[[ArrayTree, ArrayTree], ArrayTree]
]


def _fisher(name: str, model: Any, params: Params, inputs: Any, likelihood: Likelihood) -> Any:
    if not callable(likelihood) and likelihood not in LIKELIHOODS:
        raise ValueError(
            f"{name}: likelihood must be {', '.join(map(repr, LIKELIHOODS))} or a function, "
            f"received {likelihood!r}."
        )
    of_outputs = likelihood if callable(likelihood) else LIKELIHOODS[likelihood]
    axes = 2 if likelihood == "categorical" else 1

    def curvature(outputs: ArrayTree, u: ArrayTree) -> ArrayTree:
        leaves = jax.tree.leaves(outputs)
        if not leaves or min(map(jnp.ndim, leaves)) < axes or (isinstance(likelihood, str) and leaves[1:]):
            shape = jax.tree.map(jnp.shape, outputs)
            wanted = "(examples, ..., classes)" if axes == 2 else "(examples, ...)"
            raise ValueError(f"{name}: the model must return an array {wanted}, received shape {shape}.")
        product = of_outputs(jax.tree.map(widen, outputs), jax.tree.map(widen, u))
        return jax.tree.map(lambda x, like: cast(x / len(like), like.dtype), product, outputs)

    return pulled_back(name, lambda p: model(p, inputs), params, curvature)


def fisher_vector_product(
    model: Callable[[Params, Any], ArrayTree],
    params: Params,
    v: ArrayTree,
    inputs: Any,
    likelihood: Likelihood = "categorical",
) -> ArrayTree:
    """F v, F = mean_n E_{y ~ p(y | f_n)} [g g^T], g the gradient of log p(y | f_n), f_n the n-th output.

    The expectation is over the model's own distribution and is taken exactly: F = mean_n J_n^T C_n J_n
    with C_n = Cov(y | f_n). It equals the Gauss-Newton matrix of the mean negative log-likelihood.

    Args:
        model: model(params, inputs) gives the natural parameters, (examples, ...).
        params: a tree of real floating arrays; None leaves are left out.
        v: a tree like the parameters, cast to their dtypes.
        inputs: anything the model takes.
        likelihood: "categorical" (outputs are logits, classes last), "bernoulli" (logits), "normal"
            (means, variance 1) or "poisson" (log rates), independent over axes between; or a
            function from the outputs f and u to C u, for one product over all examples.

    Returns: a tree like the parameters, in their dtypes.
    Raises: TypeError for parameters or outputs that are not real floating point; ValueError for
        another likelihood, outputs without an axis of examples, or a v that does not fit.
    Reference: Martens, 2014, New Insights and Perspectives on the Natural Gradient Method,
        arXiv:1412.1193.
    """
    name = "fisher_vector_product"
    params = parameters(name, params)
    v = vector(name, v, params)
    return _fisher(name, model, params, inputs, likelihood)(v)


def fisher_diagonal(
    model: Callable[[Params, Any], ArrayTree],
    params: Params,
    inputs: Any,
    likelihood: Likelihood = "categorical",
    *,
    key: jax.Array | None = None,
    num_samples: int | None = None,
) -> Params:
    """The diagonal of the Fisher information, exact or by Hutchinson's method.

    Args:
        model, params, inputs, likelihood: as in `fisher_vector_product`.
        key, num_samples: None for the exact diagonal, one product per parameter; else a random key
            and the number of products, whose estimates `diagonal` describes. They may be negative.

    Returns: a tree like the parameters.
    Raises: as `fisher_vector_product` and `diagonal`.
    Reference: Bekas, Kokiopoulou and Saad, 2007, An estimator for the diagonal of a matrix.
    """
    name = "fisher_diagonal"
    params = parameters(name, params)
    product = _fisher(name, model, params, inputs, likelihood)
    return diagonal(product, params, key=key, num_samples=num_samples)
