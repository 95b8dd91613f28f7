"""Adagrad: learning rates that shrink where gradients have been large."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..core import Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, full_like
from ..core.types import AddedNumber, Array, MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..transforms.decay import decoupled
from ..transforms.scaling import scale_by_learning_rate


class ScaleByRssState(NamedTuple):
    """State of `scale_by_rss`."""

    sum_of_squares: Params  # like |params|, at least float32; sum of squared gradients


@transformation
def scale_by_rss(initial_accumulator_value: Numeric = 0.1, eps: Numeric = 1e-7):
    """Rescales by the root of the sum of all squared gradients so far.

    s = s + |g|^2, from s = initial_accumulator_value;  u = g / sqrt(s + eps), and 0 where s = 0.

    Args:
        initial_accumulator_value: first value of s, at least 0.
        eps: added inside the square root, at least 0.

    State: `ScaleByRssState(sum_of_squares)`. Memory: 1 x the parameters.
    Reference: Duchi, Hazan and Singer, 2011, Adaptive Subgradient Methods.

    Example:
        >>> tx, p = gc.scale_by_rss(initial_accumulator_value=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, 0.0], [4.0, 2.0]):  # 4 / sqrt(9 + 16); zeros stay zeros
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 0.0]
        [0.8, 1.0]
    """

    def init(p: Array) -> ScaleByRssState:
        return ScaleByRssState(sum_of_squares=full_like(p, initial_accumulator_value))

    def update(g: Array, s: ScaleByRssState, p: Array | None) -> tuple[Array, ScaleByRssState]:
        total = abs_sq(g) + s.sum_of_squares
        seen = total > 0
        return jnp.where(seen, jax.lax.rsqrt(jnp.where(seen, total, 1) + eps), 0) * g, s._replace(
            sum_of_squares=total
        )

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True)
def adagrad(
    learning_rate: ScalarOrSchedule,
    initial_accumulator_value: Numeric = 0.1,
    eps: Numeric = 1e-7,
    *,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Adagrad, for sparse features: s = s + |g|^2;  p = p - learning_rate g / sqrt(s + eps).

    Args:
        initial_accumulator_value, eps: see `scale_by_rss`.

    State: a chain's: `ScaleByRssState(sum_of_squares)`, the learning rate's. Memory: 1 x the parameters.
    Reference: Duchi, Hazan and Singer, 2011, Adaptive Subgradient Methods for Online Learning and
        Stochastic Optimization.

    Example:
        >>> tx, p = gc.adagrad(1.0, initial_accumulator_value=0.0), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(3):  # steps of 1, 1 / sqrt(2), 1 / sqrt(3)
        ...     p, state = tx.step(jnp.array([-5.0]), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [1.0]
        [1.707]
        [2.284]
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
