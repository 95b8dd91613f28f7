"""The optimistic gradient: the gradient plus its change since the last step."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import FINITE, transformation, treewise
from ..core.lists import each_of
from ..core.numerics import zeros_like
from ..core.types import Array, Hyperparameter, Params


class ScaleByOptimisticGradientState(NamedTuple):
    """State of `scale_by_optimistic_gradient`."""

    is_initial_step: Array  # bool[]  whether no gradient was seen yet
    previous_gradient: Params  # like params; the last gradient


@transformation(alpha=FINITE, beta=FINITE)
def scale_by_optimistic_gradient(alpha: Hyperparameter = 1.0, beta: Hyperparameter = 1.0):
    """Adds the change since the last gradient: u_t = alpha g_t + beta (g_t - g_{t-1}).

    At the first step the change is 0. In games (a minimum in some parameters, a maximum in others) it
    converges where plain gradient descent moves in circles.

    Args: alpha, weight of the gradient; beta, weight of its change. Any finite numbers.
    State: `ScaleByOptimisticGradientState(is_initial_step, previous_gradient)`.
    Memory: 1 x the parameters.
    Reference: Mokhtari, Ozdaglar and Pattathil, 2019, A Unified Analysis of Extra-gradient and
        Optimistic Gradient Methods for Saddle Point Problems, arXiv:1901.08511.

    Example:
        >>> tx, p = gc.scale_by_optimistic_gradient(), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 1.0], [3.0, 1.0]):  # 3 + (3 - 1)
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print(u.tolist())
        [1.0, 1.0]
        [5.0, 1.0]
    """

    def init(ps: list[Array]) -> ScaleByOptimisticGradientState:
        return ScaleByOptimisticGradientState(
            is_initial_step=jnp.array(True), previous_gradient=[zeros_like(p) for p in ps]
        )

    def update(
        g: list[Array], s: ScaleByOptimisticGradientState, p: list[Array]
    ) -> tuple[list[Array], ScaleByOptimisticGradientState]:
        def step(g: Array, previous: Array) -> tuple[Array, Array]:
            return (alpha + beta) * g - beta * jnp.where(s.is_initial_step, g, previous), g

        u, previous = each_of(2, step, g, s.previous_gradient)
        return u, s._replace(is_initial_step=jnp.array(False), previous_gradient=previous)

    return treewise(init, update, needs_params=False)
