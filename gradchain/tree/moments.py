"""Moving averages of trees: m' = (1 - decay) f(g) + decay m. None where there is no update."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core.numerics import abs_sq, ema
from ..core.types import ArrayTree, Numeric, Params, Updates
from .leaves import map_leaves, widened


def update_moment(updates: Updates, moments: Params, decay: Numeric, order: Numeric) -> ArrayTree:
    """The moving average of updates^order.

    Args: two trees of one structure; decay, in [0, 1]; order, 1 or 2 as a rule. Half precisions
        are computed in float32, since 0.999 is 1 in bfloat16.
    """

    def update(g: Any, m: Any) -> jax.Array:
        return ema(g**order, m, decay)

    return map_leaves("update_moment", widened(update), updates, moments)


def update_moment_per_elem_norm(
    updates: Updates, moments: Params, decay: Numeric, order: Numeric
) -> ArrayTree:
    """The moving average of |updates|^order, real for complex numbers.

    Args: as of `update_moment`; for real numbers the same, with its sign in odd orders.
    """

    def update(g: Any, m: Any) -> jax.Array:
        if jnp.isrealobj(g):
            return ema(g**order, m, decay)
        half = order / 2
        whole = isinstance(half, float) and half.is_integer()
        return ema(abs_sq(g) ** (int(half) if whole else half), m, decay)

    return map_leaves("update_moment_per_elem_norm", widened(update), updates, moments)


def update_infinity_moment(updates: Updates, moments: Params, decay: Numeric, eps: Numeric) -> ArrayTree:
    """The largest update of late: max(|g| + eps, decay m)."""

    def update(g: Any, m: Any) -> jax.Array:
        return jnp.maximum(jnp.abs(g) + eps, decay * m)

    return map_leaves("update_infinity_moment", widened(update), updates, moments)
