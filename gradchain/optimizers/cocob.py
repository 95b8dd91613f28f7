"""COCOB: betting on coordinates, without a learning rate."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import NON_NEGATIVE, chain, leafwise, transformation
from ..core.numerics import accumulator_like, copy_of, full_like, ratio, wide_like
from ..core.types import Array, MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class COCOBState(NamedTuple):
    """State of `scale_by_cocob`."""

    init_particles: Params  # like params; the initial parameters
    cumulative_gradients: Params  # like params, at least float32; minus the sum of gradients
    scale: Params  # like |params|, at least float32; largest |g| so far
    subgradients: Params  # like |params|, at least float32; sum of |g|
    reward: Params  # like |params|, at least float32; what the bets have won


@transformation(alpha=NON_NEGATIVE)
def scale_by_cocob(alpha: Numeric = 100.0, eps: Numeric = 1e-8):
    """Sets every parameter by a strategy of bets on its gradients.

    L = max(L, |g|);  G = G + |g|;  R = max(R - g (p - p_0), 0);  C = C - g;
    u = p_0 + C (L + R) / (L max(G + L, alpha L)) - p.

    Args:
        alpha: at least 0; the larger, the smaller the first bets.
        eps: first value of L, at least 0.

    State: `COCOBState(init_particles, cumulative_gradients, scale, subgradients, reward)`.
    Memory: 5 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Orabona and Tommasi, 2017, arXiv:1705.07795.

    Example:
        >>> tx, p = gc.scale_by_cocob(alpha=2.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, -8.0], [1.0, -8.0]):  # bets of C / (alpha L), whatever the size of gradients
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [-0.5, 0.5]
        [-0.667, 0.667]
    """

    def init(p: Array) -> COCOBState:
        return COCOBState(
            init_particles=copy_of(p),
            cumulative_gradients=wide_like(p),
            scale=full_like(p, eps),
            subgradients=accumulator_like(p),
            reward=accumulator_like(p),
        )

    def update(g: Array, s: COCOBState, p: Array) -> tuple[Array, COCOBState]:
        size = jnp.abs(g)
        largest, seen = jnp.maximum(s.scale, size), s.subgradients + size
        reward = jnp.maximum(s.reward - jnp.real(jnp.conj(g) * (p - s.init_particles)), 0)
        bets = s.cumulative_gradients - g
        worth = ratio(largest + reward, largest * jnp.maximum(seen + largest, alpha * largest))
        u = -p + (s.init_particles + bets * worth)
        return u, s._replace(cumulative_gradients=bets, scale=largest, subgradients=seen, reward=reward)

    return leafwise(init, update, needs_params=True)


@transformation(deferred=True, alpha=NON_NEGATIVE)
def cocob(
    learning_rate: ScalarOrSchedule = 1.0,
    alpha: Numeric = 100.0,
    eps: Numeric = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """COCOB-Backprop: bets on every parameter's gradients; there is no learning rate to tune.

    Args:
        learning_rate: a factor of the gradients; usually 1.
        alpha, eps: see `scale_by_cocob`.
        weight_decay: added to the gradient, see `add_decayed_weights`.

    State: a chain's: the decay's, the learning rate's, `COCOBState`. Memory: 5 x the parameters.
    Reference: Orabona and Tommasi, 2017, Training Deep Networks without Learning Rates Through Coin
        Betting, arXiv:1705.07795.

    Example:
        >>> tx, p = gc.cocob(), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, -1.0], [1.0, -1.0]):  # bets of 1 / alpha, the second of 2 / alpha
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.01, 0.01]
        [-0.02, 0.02]
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate, flip_sign=False),
        scale_by_cocob(alpha, eps),
    )
