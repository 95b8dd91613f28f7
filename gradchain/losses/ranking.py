"""Losses of rankings: lists of items with relevances."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of
from .checks import like, mask_like
from .safe import times
from .softmax import log_terms


def ranking_softmax_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduce_fn: Callable[..., ArrayLike] | None = jnp.mean,
) -> jax.Array:
    """Cross-entropy between relevances and the softmax of scores: -sum_i w_i y_i log p_i, reduced.

    Args:
        logits: scores of items, floating point, shape (..., items).
        labels: relevances y, at least 0, of the same shape; one list may serve all.
        where: booleans of that shape, True where an item counts.
        weights: w, of a shape that broadcasts to the scores'; None for 1.
        reduce_fn: what makes one number of the lists' losses, called as `reduce_fn(losses, where=...)`
            with True for lists that have an item that counts; None for the losses themselves.

    Returns: the loss in the scores' dtype, computed in at least float32. Lists without items have loss
        0, and the mean is over the others (0 if there are none).
    Raises: TypeError for scores that are not floating point; ValueError for shapes that do not match.
    Reference: Cao et al., 2007, Learning to Rank: From Pairwise Approach to Listwise Approach.
    """
    name = "ranking_softmax_loss"
    y, log_p = log_terms(name, logits, labels, -1, where)
    if weights is not None:
        y = y * like(name, "weights", weights, "logits", y)
    loss, mask = jnp.sum(times(y, -log_p), -1), mask_like(name, where, y, -1)
    counts = None if mask is None else jnp.any(mask, -1)
    if reduce_fn is jnp.mean:  # of nothing is 0, not 0 / 0
        number = loss.size if counts is None else jnp.sum(counts).astype(loss.dtype)
        loss = jnp.sum(loss) / jnp.maximum(number, 1)
    elif reduce_fn is not None:
        loss = jnp.asarray(reduce_fn(loss, where=counts))
    return cast(loss, dtype_of(logits))
