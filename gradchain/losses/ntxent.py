"""Contrastive learning: what belongs together, close together."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import POSITIVE, cast, dtype_of, widen
from .checks import floating, in_range
from .cosine import unit
from .safe import exp_sum, log


def ntxent(embeddings: ArrayLike, labels: ArrayLike, temperature: ArrayLike = 0.07) -> jax.Array:
    """Normalized temperature-scaled cross-entropy, the mean over ordered pairs i, j of one label.

    -log(exp(s_ij) / (exp(s_ij) + sum_k exp(s_ik))), with s the cosines of the embeddings divided by the
    temperature, and k over the examples of another label than i's.

    Args:
        embeddings: floating point, shape (batch, n).
        labels: shape (batch,); what is equal belongs together.
        temperature: more than 0.

    Returns: a scalar in the embeddings' dtype, computed in at least float32; 0 if there are no pairs. A
        zero vector has cosine 0 to all.
    Raises: TypeError for embeddings that are not floating point; ValueError for other shapes and for a
        temperature that is not positive.
    Reference: Chen et al., 2020, A Simple Framework for Contrastive Learning of Visual Representations,
        arXiv:2002.05709.
    """
    in_range("ntxent", POSITIVE, temperature=temperature)
    x, group = widen(floating("ntxent", "embeddings", embeddings)), jnp.asarray(labels)
    if x.ndim != 2 or group.shape != x.shape[:1]:
        raise ValueError(
            f"ntxent: expected embeddings of shape (batch, n) and labels of shape (batch,), received "
            f"{x.shape} and {group.shape}."
        )
    directions = unit(x, jnp.finfo(x.dtype).eps, -1)
    cosines = jnp.matmul(directions, directions.T, precision=jax.lax.Precision.HIGHEST)
    s = cosines / jnp.asarray(temperature, x.dtype)
    same = group[:, None] == group[None]
    pairs = same & ~jnp.eye(len(x), dtype=bool)
    top, others = exp_sum(jnp.where(same, -jnp.inf, s), 1)
    loss = jnp.where(pairs, jax.nn.softplus(log(others) + top - s), 0)  # 0 if there are no others
    return cast(jnp.sum(loss) / jnp.maximum(jnp.sum(pairs), 1).astype(x.dtype), dtype_of(embeddings))
