"""Scores of classes, beside that of the label."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import widen
from .checks import floating, integers


def labelled(name: str, scores: ArrayLike, labels: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores in at least float32, a mask of the labels' entries, and a mask of labels that are no class."""
    s = widen(floating(name, "scores", scores))
    if s.ndim == 0:
        raise ValueError(f"{name}: scores must have a class axis, received a scalar.")
    index, wrong = integers(name, labels, s.shape[:-1], s.shape[-1])
    hot = jax.lax.broadcasted_iota(index.dtype, s.shape, s.ndim - 1) == index[..., None]
    return s, hot, wrong


def lead_over_label(name: str, scores: ArrayLike, labels: ArrayLike, margin: float = 0.0) -> jax.Array:
    """max_j (s_j + margin [j is not the label]) - s_label, in at least float32."""
    s, hot, wrong = labelled(name, scores, labels)
    best = jnp.max(jnp.where(hot, s, s + margin), -1)
    return jnp.where(wrong, jnp.nan, best - jnp.sum(jnp.where(hot, s, 0), -1))
