"""Losses made from a maximum: the Fenchel-Young construction."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import floating, paired
from .safe import times

MaxFun = Callable[..., Any]
"""From scores of shape (n,), and whatever else the loss is given, to their (smoothed) maximum."""


def make_fenchel_young_loss(max_fun: MaxFun) -> Callable[..., jax.Array]:
    """The loss of a maximum: loss(scores, targets) = max_fun(scores) - targets.scores.

    Its slope is the gradient of the maximum minus the targets: for `jax.nn.logsumexp` the loss is the
    cross-entropy of a softmax (up to the entropy of the targets).

    Args: max_fun, a convex function of scores of shape (n,), called as max_fun(scores, *args, **kwargs).
    Returns: loss(scores, targets, *args, **kwargs), over the last axis of floating point scores of any
        shape, with targets of that shape (or one row for all); in the scores' dtype, computed in at
        least float32. It raises TypeError and ValueError as other losses do.
    Raises: TypeError if max_fun is no function.
    Reference: Blondel, Martins and Niculae, 2020, Learning with Fenchel-Young Losses, arXiv:1901.02324.
    """
    if not callable(max_fun):
        raise TypeError(f"make_fenchel_young_loss: max_fun must be a function, received {max_fun!r}.")

    def fenchel_young_loss(scores: ArrayLike, targets: ArrayLike, *args: Any, **kwargs: Any) -> jax.Array:
        x = widen(floating("fenchel_young_loss", "scores", scores))
        x, y = paired("fenchel_young_loss", -1, scores=x, targets=jnp.asarray(targets, x.dtype))
        rows = x.reshape(-1, x.shape[-1])
        highest = jax.vmap(lambda row: max_fun(row, *args, **kwargs))(rows).reshape(x.shape[:-1])
        return cast(highest - jnp.sum(times(y, x), -1), dtype_of(scores))

    return fenchel_young_loss
