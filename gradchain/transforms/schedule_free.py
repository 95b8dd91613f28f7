"""Schedule-Free: averaging replaces the decay of the learning rate."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    FINITE,
    GradientTransformation,
    GradientTransformationExtraArgs,
    Leaves,
    MissingParamsError,
    Range,
    cast,
    compiled,
    compute_dtype,
    dtype_of,
    dtype_of_step,
    relaxed_promotion,
    transformation,
    widen,
    with_extra_args_support,
)
from ..core.lists import each_of, scalar_dtype
from ..core.numerics import copy_of, one_minus, ratio, safe_increment
from ..core.types import Array, DTypeLike, Numeric, OptState, Params, ScalarOrSchedule, Updates
from .masking import MaskedNode

ABOVE_ZERO = Range("in (0, 1]", lambda x: 0 < x <= 1)


def _average(y: Array, z: Array, b1: Numeric) -> Array:
    """x from y = b1 x + (1 - b1) z."""
    return (y - (1 - b1) * z) / b1


class ScheduleFreeState(NamedTuple):
    """State of `schedule_free`."""

    b1: Array  # f32[] (f64 for f64 params); weight of x in y, for `eval_params`
    weight_sum: Array  # f32[]; sum of the weights in the average
    step_count: Array  # i32[]; number of the coming step, from 1
    max_lr: Array  # f32[]; largest learning rate so far
    base_optimizer_state: OptState  # the base optimizer's
    z: Params  # like params, at least float32, or state_dtype; the base optimizer's parameters

    def eval_params(self, params: Params) -> Params:
        """The averaged parameters x: evaluate these."""

        def average(z: Array | MaskedNode, y: Array) -> Array:
            if isinstance(z, MaskedNode):
                return y
            with relaxed_promotion():
                return cast(_average(widen(y), widen(z), self.b1), dtype_of(y))

        return jax.tree.map(average, self.z, params, is_leaf=lambda z: isinstance(z, MaskedNode))


def schedule_free_eval_params(state: OptState, params: Params) -> Params:
    """The parameters to evaluate after training with `schedule_free`; see `eval_params` for chains.

    Args: state, a `ScheduleFreeState`; params, the parameters in training, y.
    Returns: their average x = (y - (1 - b1) z) / b1, in the dtypes of the parameters.
    Raises: ValueError for another state.
    """
    if getattr(state, "b1", None) is None or getattr(state, "z", None) is None:
        raise ValueError(
            "schedule_free_eval_params: expected a ScheduleFreeState, received "
            f"{type(state).__name__}. For the state of a chain, call eval_params(state, params)."
        )
    return ScheduleFreeState.eval_params(state, params)


@transformation(b1=ABOVE_ZERO, weight_lr_power=FINITE)
def schedule_free(
    base_optimizer: GradientTransformation,
    learning_rate: ScalarOrSchedule,
    b1: Numeric = 0.9,
    weight_lr_power: Numeric = 2.0,
    state_dtype: DTypeLike | None = None,
):
    """Takes gradients at y, a mean of the base optimizer's z and its running average x, the result.

    z = z + base step at y;  w = (largest learning rate so far)^weight_lr_power;  c = w / sum of w;
    x = (1 - c) x + c z;  y = b1 x + (1 - b1) z. The parameters are y; `eval_params` gives x.

    Args:
        base_optimizer: a transformation without momentum of its own.
        learning_rate: the base optimizer's, for the weights w: a number, an array or a schedule.
        b1: weight of x in y, in (0, 1].
        weight_lr_power: exponent of the learning rate in the weights; at 0 all weights are equal.
        state_dtype: dtype of z, by default the parameter's, but at least float32 to keep small steps.

    State: `ScheduleFreeState(b1, weight_sum, step_count, max_lr, base_optimizer_state, z)`.
    Memory: 1 x the parameters, and the base optimizer's.
    Raises: ValueError if `update` gets no parameters.
    Reference: Defazio et al., 2024, The Road Less Scheduled, arXiv:2405.15682.

    Example:
        >>> tx, p = gc.schedule_free(gc.sgd(1.0), 1.0, b1=0.5), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # z goes to 1 and 2; x, the mean, to 1 and 1.5
        ...     p, state = tx.step(jnp.array([-1.0]), state, p)
        ...     print(p.tolist(), gc.eval_params(state, p).tolist())
        [1.0] [1.0]
        [1.75] [1.5]
    """
    tx = with_extra_args_support(base_optimizer)

    def init(params: Params) -> ScheduleFreeState:
        dtype = scalar_dtype(params)
        return ScheduleFreeState(
            jnp.asarray(b1, dtype),
            jnp.zeros([], dtype),
            jnp.ones([], jnp.int32),
            jnp.zeros([], dtype),
            tx.init(params),
            jax.tree.map(lambda p: copy_of(p, state_dtype or compute_dtype(dtype_of(p))), params),
        )

    @compiled
    def update(
        updates: Updates, state: ScheduleFreeState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ScheduleFreeState]:
        if params is None:
            raise MissingParamsError("schedule_free")
        steps, base_state = tx.update(updates, state.base_optimizer_state, params, **extra_args)
        leaves = Leaves("schedule_free", updates, params)
        with relaxed_promotion():
            rate = learning_rate(state.step_count - 1) if callable(learning_rate) else learning_rate
            largest = jnp.maximum(state.max_lr, rate)
            weight = largest**weight_lr_power
            total = state.weight_sum + weight
            share = ratio(weight, total)  # 0 while the learning rate has been 0: z has not moved

            def move(g: Array, u: Array, y: Array, z: Array) -> tuple[Array, Array]:
                z_new, dtype = cast(widen(z) + widen(u), dtype_of(z)), dtype_of_step(g, y)
                y, z, end = widen(y), widen(z), widen(z_new)
                x = (1 - share) * _average(y, z, b1) + share * end
                return cast(b1 * x + one_minus(b1) * end - y, dtype), z_new

            us = leaves.of("base optimizer's step", steps)
            moves, z = each_of(2, move, leaves.gs, us, leaves.ps, leaves.of("state's z", state.z))
        return leaves.put(moves, updates), ScheduleFreeState(
            jnp.asarray(b1, state.b1.dtype),
            cast(total, state.weight_sum.dtype),
            safe_increment(state.step_count),
            cast(largest, state.max_lr.dtype),
            base_state,
            leaves.put(z, state.z),
        )

    inside = [(base_optimizer, ("base_optimizer_state",))]
    return GradientTransformationExtraArgs(init, update, inside=inside)
