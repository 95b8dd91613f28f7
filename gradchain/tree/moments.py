"""Moving averages of trees: m' = (1 - decay) f(g) + decay m. None where there is no update."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core.numerics import abs_sq, ema
from ..core.types import ArrayTree, Numeric, Params, Updates
from .leaves import map_leaves, widened


def update_moment(updates: Updates, moments: Params, decay: Numeric, order: Numeric) -> ArrayTree:
    """The moving average of updates^order.

    Args: two trees of one structure; decay, in [0, 1]; order, usually 1 or 2. Half precisions are
        computed in float32, since 0.999 is 1 in bfloat16.
    """

    def update(g: Any, m: Any) -> jax.Array:
        return ema(g**order, m, decay)

    return map_leaves("update_moment", widened(update), updates, moments)


def update_moment_per_elem_norm(
    updates: Updates, moments: Params, decay: Numeric, order: Numeric
) -> ArrayTree:
    """The moving average of |updates|^order, real for complex numbers.

    Args: see `update_moment`. Real numbers give the same as there: odd orders keep the sign.
    """

    def update(g: Any, m: Any) -> jax.Array:
        if jnp.isrealobj(g):
            return ema(g**order, m, decay)
        half = order / 2
        is_integer = isinstance(half, float) and half.is_integer()
        return ema(abs_sq(g) ** (int(half) if is_integer else half), m, decay)

    return map_leaves("update_moment_per_elem_norm", widened(update), updates, moments)


def update_infinity_moment(updates: Updates, moments: Params, decay: Numeric, eps: Numeric) -> ArrayTree:
    """The decayed maximum of updates: max(|g| + eps, decay m)."""

    def update(g: Any, m: Any) -> jax.Array:
        return jnp.maximum(jnp.abs(g) + eps, decay * m)

    return map_leaves("update_infinity_moment", widened(update), updates, moments)
