"""Kullback-Leibler divergences."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .checks import Axis, floating, mask_like, paired
from .safe import times


def _terms(
    name: str,
    what: str,
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis,
    where: ArrayLike | None,
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Both arguments in one shape, and the mask of that shape. What is masked is 0."""
    log_q = widen(floating(name, "log_predictions", log_predictions))
    target = jnp.asarray(floating(name, what, targets), log_q.dtype)
    log_q, target = paired(name, axis, **{"log_predictions": log_q, what: target})
    mask = mask_like(name, where, log_q, axis)
    if mask is None:
        return log_q, target, None
    return jnp.where(mask, log_q, 0), jnp.where(mask, target, 0), mask


def _divergence(log_q: jax.Array, p: jax.Array, axis: Axis) -> jax.Array:
    return jnp.sum(times(p, jnp.log(jnp.where(p == 0, 1, p)) - log_q), axis)


def kl_divergence(
    log_predictions: ArrayLike, targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """The divergence of predictions q from targets p: sum_i p_i (log p_i - log q_i).

    Args:
        log_predictions: log q, floating point, any shape.
        targets: p, probabilities of that shape; one distribution may serve all examples.
        axis: the axis or axes of the distributions; None for all.
        where: booleans, True where an entry counts; of the predictions' shape, or without `axis`.

    Returns: the divergence per example in the predictions' dtype, computed in at least float32. Where
        p is 0, nothing is added, even at log q = -inf.
    Raises: TypeError for what is not floating point; ValueError for shapes that do not match.
    Reference: Kullback and Leibler, 1951, On Information and Sufficiency.
    """
    log_q, p, _ = _terms("kl_divergence", "targets", log_predictions, targets, axis, where)
    return cast(_divergence(log_q, p, axis), dtype_of(log_predictions))


def kl_divergence_with_log_targets(
    log_predictions: ArrayLike, log_targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """`kl_divergence` for targets given as log p, which may be -inf.

    Args: log_targets, log p; the others, Returns, Raises: as `kl_divergence`.
    """
    name = "kl_divergence_with_log_targets"
    log_q, log_p, mask = _terms(name, "log_targets", log_predictions, log_targets, axis, where)
    never = log_p == -jnp.inf
    p = jnp.where(never, 0, jnp.exp(log_p))
    terms = times(p, jnp.where(never, 0, log_p) - log_q)
    return cast(jnp.sum(terms, axis, where=mask), dtype_of(log_predictions))


def generalized_kl_divergence(
    log_predictions: ArrayLike, targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """The divergence of masses that need not sum to 1: sum_i p_i (log p_i - log q_i) + q_i - p_i.

    Args, Returns, Raises: as `kl_divergence`; both q and p may have any sum.
    Reference: Bregman, 1967, The Relaxation Method of Finding the Common Point of Convex Sets.
    """
    name = "generalized_kl_divergence"
    log_q, p, mask = _terms(name, "targets", log_predictions, targets, axis, where)
    surplus = jnp.sum(jnp.exp(log_q) - p, axis, where=mask)
    return cast(_divergence(log_q, p, axis) + surplus, dtype_of(log_predictions))
