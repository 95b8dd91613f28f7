"""The empirical Fisher matrix: second moments of the gradients at the observed targets."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import widen
from ..core.numerics import abs_sq
from ..core.types import ArrayTree, Params
from ..tree import cast_like
from .checks import parameters, scalar, vector
from .diagonal import sum_over
from .gauss_newton import pulled_back


def _examples(name: str, batch: tuple[Any, ...]) -> int:
    """How many examples the batch has."""
    shapes = {
        jax.tree_util.keystr(path): jnp.shape(x) for path, x in jax.tree_util.tree_leaves_with_path(batch)
    }
    sizes = {shape[:1] for shape in shapes.values()}
    if len(sizes) != 1 or () in sizes:
        raise ValueError(
            f"{name}: all arrays of the batch must have one axis of examples first, received shapes "
            f"{', '.join(f'{path} {shape}' for path, shape in shapes.items()) or '(no arrays)'}."
        )
    return sizes.pop()[0]


def empirical_fisher_vector_product(
    loss: Callable[..., Any], params: Params, v: ArrayTree, *batch: Any
) -> ArrayTree:
    """F v = mean_n g_n (g_n^T v), g_n the gradient of the n-th example's loss.

    This is not the Fisher information: its targets are the observed ones, not the model's, and away
    from a perfect fit it may say little of the curvature. `fisher_vector_product` is the real one.

    Args:
        loss: loss(params, *example) gives one real number for one example.
        params: a tree of real floating arrays; None leaves are left out.
        v: a tree like the parameters, cast to their dtypes.
        batch: what loss takes besides, with an axis of examples first in each array.

    Returns: a tree like the parameters, in their dtypes. No gradients per example are formed.
    Raises: TypeError for parameters that are not real floating point or for a loss that does not
        return a number; ValueError naming the leaf where v does not fit, or for unequal batches.
    Reference: Kunstner, Balles and Hennig, 2019, Limitations of the Empirical Fisher Approximation
        for Natural Gradient Descent, arXiv:1905.12558.
    """
    name = "empirical_fisher_vector_product"
    params = parameters(name, params)
    count = _examples(name, batch)
    one = scalar(name, "loss", loss)

    def losses(p: Params) -> jax.Array:
        return jax.vmap(lambda example: one(p, *example))(batch)

    v = vector(name, v, params)
    return pulled_back(name, losses, params, lambda _, u: u / count)(v)


def empirical_fisher_diagonal(loss: Callable[..., Any], params: Params, *batch: Any) -> Params:
    """mean_n g_n^2, g_n the gradient of the n-th example's loss: the empirical Fisher's diagonal, exact.

    Args: loss, params, batch, as in `empirical_fisher_vector_product`.
    Returns: a tree like the parameters, averaged in at least float32, from one gradient per example,
        16 examples at a time.
    Raises: as `empirical_fisher_vector_product`.
    Reference: Kunstner, Balles and Hennig, 2019, Limitations of the Empirical Fisher Approximation
        for Natural Gradient Descent, arXiv:1905.12558.
    """
    name = "empirical_fisher_diagonal"
    params = parameters(name, params)
    count = _examples(name, batch)
    gradient = jax.grad(scalar(name, "loss", loss))

    def term(n: Any) -> Params:
        example = jax.tree.map(lambda x: jnp.asarray(x)[n], batch)
        return jax.tree.map(lambda g: abs_sq(widen(g)), gradient(params, *example))

    total = sum_over(count, term, params)
    return cast_like(jax.tree.map(lambda x: x / count, total), params)
