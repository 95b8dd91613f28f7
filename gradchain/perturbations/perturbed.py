"""Derivatives for functions that have none, from their values at random points nearby."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ..core import cast, dtype_of, is_inexact, relaxed_promotion, widen
from ..core.types import ArrayTree
from ..tree.leaves import map_leaves
from ..tree.random import random_like
from ..tree.reductions import size, sum
from .noise import Gumbel, Noise

NAME = "make_perturbed_fun"
GUMBEL = Gumbel()


def make_perturbed_fun(
    fun: Callable[[ArrayTree], ArrayTree],
    num_samples: int = 1000,
    sigma: ArrayLike = 0.1,
    noise: Noise = GUMBEL,
    use_baseline: bool = True,
) -> Callable[[jax.Array, ArrayTree], ArrayTree]:
    """A function with derivatives, f_sigma(x) = E fun(x + sigma z), from one that needs none.

    The mean is taken over `num_samples` draws of z. Derivatives of every order are estimated from the
    same values of `fun`, without bias, by the slope of the density with which each point is drawn:
    grad f_sigma(x) = E fun(y) grad_x log p((y - x) / sigma), y = x + sigma z.

    Args:
        fun: from a pytree of floating-point arrays to a pytree of arrays. What else it closes over is
            differentiated as usual.
        num_samples: how many draws, at least 1. All are computed at once, as by `jax.vmap`.
        sigma: the size of the perturbation, one number more than 0; it has a derivative too.
        noise: the distribution of z, see `Noise`: `Gumbel()`, `Normal()` or one of your own.
        use_baseline: subtract fun(x) in derivatives: the same mean, less variance, one more value.

    Returns: a function of a random key and x. Means of half precision are taken in float32 and
        returned in the dtype of `fun`'s result; means of integers are float32.
    Raises: ValueError for numbers out of range; TypeError for other arguments, and for integers in x.
    Reference: Berthet et al., 2020, Learning with Differentiable Perturbed Optimizers,
        arXiv:2002.08676; Foerster et al., 2018, DiCE, arXiv:1802.05098.
    """
    _check(num_samples, sigma, noise)

    def log_density(x: ArrayTree, y: ArrayTree, z: ArrayTree) -> jax.Array:
        """log p(y), whose value is that of z but whose derivatives are those of (y - x) / sigma."""
        s = jnp.asarray(sigma)

        def again(x: Any, y: Any, z: Any) -> jax.Array:
            moved = (lax.stop_gradient(y) - x) / s
            return noise.log_prob(z + (moved - lax.stop_gradient(moved)))

        return sum(map_leaves(NAME, again, x, y, z)) - size(x) * jnp.log(s)

    def value(key: jax.Array, x: ArrayTree, baseline: ArrayTree) -> ArrayTree:
        wide = map_leaves(NAME, widen, x)
        z = lax.stop_gradient(random_like(key, wide, noise.sample))
        y = lax.stop_gradient(map_leaves(NAME, lambda x, z: x + sigma * z, wide, z))
        with relaxed_promotion():
            log_p = log_density(wide, y, z)
        one = jnp.exp(log_p - lax.stop_gradient(log_p))  # its derivatives are the score's
        out = fun(map_leaves(NAME, lambda y, x: cast(y, dtype_of(x)), y, x))
        if baseline is None:
            return map_leaves(NAME, lambda f: one * widen(f), out)
        return map_leaves(NAME, lambda f, b: one * widen(f) + (1 - one) * widen(b), out, baseline)

    def perturbed(key: jax.Array, x: ArrayTree) -> ArrayTree:
        _check_input(x)
        baseline = fun(lax.stop_gradient(x)) if use_baseline else None
        keys = jax.random.split(key, num_samples)
        values = jax.vmap(value, in_axes=(0, None, None))(keys, x, baseline)
        like = baseline if use_baseline else jax.eval_shape(fun, x)

        def mean(v: Any, f: Any) -> jax.Array:
            m = jnp.mean(v, axis=0)
            return cast(m, dtype_of(f)) if is_inexact(f) else m

        return map_leaves(NAME, mean, values, like)

    return perturbed


def _check(num_samples: Any, sigma: Any, noise: Any) -> None:
    if isinstance(num_samples, bool) or not hasattr(num_samples, "__index__"):
        raise TypeError(f"{NAME}: num_samples must be an integer, received {num_samples!r}.")
    if num_samples < 1:
        raise ValueError(f"{NAME}: num_samples must be at least 1, received {num_samples!r}.")
    if isinstance(sigma, (int, float)) and not 0 < sigma < float("inf"):
        raise ValueError(f"{NAME}: sigma must be finite and more than 0, received {sigma!r}.")
    if jnp.shape(sigma) != ():
        raise ValueError(f"{NAME}: sigma must be one number, received shape {jnp.shape(sigma)}.")
    if isinstance(noise, type) or not isinstance(noise, Noise):
        raise TypeError(
            f"{NAME}: noise must be an object with sample(key, shape, dtype) and log_prob(z), such as "
            f"Gumbel(), received {noise!r}."
        )


def _check_input(x: ArrayTree) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if not jnp.issubdtype(dtype_of(leaf), jnp.floating):
            raise TypeError(
                f"{NAME}: input {jax.tree_util.keystr(path) or '(the only leaf)'} has dtype "
                f"{dtype_of(leaf)}; expected floating point. Let fun close over what is not perturbed."
            )
