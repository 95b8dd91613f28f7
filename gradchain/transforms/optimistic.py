"""The optimistic gradient: the present one and what changed since the last."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.hyperparameters import FINITE
from ..core.lift import leafwise
from ..core.numerics import zeros_like
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import Hyperparameter, OptState, Params, Updates


class ScaleByOptimisticGradientState(NamedTuple):
    """State of `scale_by_optimistic_gradient`."""

    is_initial_step: jax.Array  # bool[]  whether no gradient was seen yet
    previous_gradient: Params  # like params; the last gradient


class _Counted(NamedTuple):
    count: jax.Array
    previous_gradient: Params


@transformation(alpha=FINITE, beta=FINITE)
def scale_by_optimistic_gradient(
    alpha: Hyperparameter = 1.0, beta: Hyperparameter = 1.0
) -> GradientTransformationExtraArgs:
    """Adds the change since the last gradient: u_t = alpha g_t + beta (g_t - g_{t-1}).

    The first step has no change. It makes gradient play in games converge, where plain gradient
    descent circles.

    Args: alpha, weight of the gradient; beta, weight of its change. Any finite numbers.
    State: `ScaleByOptimisticGradientState(is_initial_step, previous_gradient)`.
    Memory: 1 x the parameters.
    Reference: Mokhtari, Ozdaglar and Pattathil, 2019, A Unified Analysis of Extra-gradient and
        Optimistic Gradient Methods for Saddle Point Problems, arXiv:1901.08511.
    """

    def init_leaf(p: Any) -> tuple[jax.Array]:
        return (zeros_like(p),)

    def update_leaf(g: Any, s: _Counted, p: Any) -> tuple[Any, tuple[Any]]:
        del p
        previous = jnp.where(s.count == 1, g, s.previous_gradient)
        return (alpha + beta) * g - beta * previous, (g,)

    rule = leafwise(_Counted, init_leaf, update_leaf, name="scale_by_optimistic_gradient")

    def init(params: Params) -> ScaleByOptimisticGradientState:
        return ScaleByOptimisticGradientState(jnp.array(True), rule.init(params).previous_gradient)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        count = jnp.where(state.is_initial_step, 0, 1)  # all that the rule asks of it
        counted = _Counted(count.astype(jnp.int32), state.previous_gradient)
        updates, counted = rule.update(updates, counted, params, **extra_args)
        return updates, ScaleByOptimisticGradientState(jnp.array(False), counted.previous_gradient)

    return GradientTransformationExtraArgs(init, update)
