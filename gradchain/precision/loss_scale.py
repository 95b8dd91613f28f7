"""A scale of the loss that finds itself, so that float16 gradients neither underflow nor overflow."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    AT_LEAST_1,
    POSITIVE,
    GradientTransformation,
    GradientTransformationExtraArgs,
    Range,
    check_updates,
    is_absent,
    is_none,
    relaxed_promotion,
    run_if,
    transformation,
    widen,
    with_extra_args_support,
    wrapper,
)
from ..core.numerics import safe_increment
from ..core.types import Array, Numeric, OptState, Params, Updates
from ..transforms.conditions import all_finite
from ..tree.boxes import opt_state_of

GROWTH = Range("finite and at least 1", lambda x: 1 <= x < float("inf"))
BACKOFF = Range("in (0, 1]", lambda x: 0 < x <= 1)


class DynamicLossScaleState(NamedTuple):
    """State of `dynamic_loss_scale`."""

    scale: Array  # f32[]  what the next loss is multiplied with
    good_steps: Array  # i32[]  steps since the scale last changed
    skipped: Array  # i32[]  steps left out, in all
    last_finite: Array  # bool[]  whether the last gradients were finite
    inner_state: OptState  # the inner transformation's

    @property
    def measured(self) -> dict[str, Array]:
        """The scale, and how many steps were left out."""
        return {"loss_scale": self.scale, "skipped": self.skipped}


@jax.jit
def _unscaled(g: Array, scale: Array) -> Array:
    with relaxed_promotion():
        return widen(g) / scale


def _unscaled_first(
    tx: GradientTransformationExtraArgs,
    scale: Array,
    whole: bool,
    updates: Updates,
    state: OptState,
    params: Params | None = None,
    **extra_args: Any,
) -> tuple[Any, OptState]:
    """A run of `tx` with gradients divided by the scale, in one pass with what uses them."""
    grads = jax.tree.map(lambda g: g if is_absent(g) else _unscaled(g, scale), updates, is_leaf=is_none)
    return tx.run(whole, grads, state, params, **extra_args)


@transformation(
    init_scale=POSITIVE,
    growth_interval=AT_LEAST_1,
    growth_factor=GROWTH,
    backoff_factor=BACKOFF,
    min_scale=POSITIVE,
    max_scale=POSITIVE,
)
def dynamic_loss_scale(
    tx: GradientTransformation,
    init_scale: Numeric = 2.0**15,
    growth_interval: Numeric = 2000,
    growth_factor: Numeric = 2.0,
    backoff_factor: Numeric = 0.5,
    min_scale: Numeric = 1.0,
    max_scale: Numeric = 2.0**24,
):
    """Takes gradients of a scaled loss, for float16: divides them by the scale, and finds the scale.

    Not all finite: no step, and scale = max(backoff_factor scale, min_scale). After growth_interval steps
    in a row: scale = min(growth_factor scale, max_scale). Gradients are divided in float32, where small
    ones do not underflow. It stands outermost, what clips inside:

        tx = dynamic_loss_scale(with_master_weights(chain(clip_by_global_norm(1.0), adamw(1e-3))))
        grads = jax.grad(lambda params: scale_loss(loss(params), state))(params)
        params, state = tx.step(grads, state, params)

    Where `tx` asks for `value=`, give it the loss itself, unscaled.

    Args:
        tx: any transformation. Its updates of float16 parameters are float32.
        init_scale: the first scale, at least min_scale and at most max_scale; powers of two do not round.
        growth_interval: steps in a row after which the scale grows, at least 1.
        growth_factor: at least 1.
        backoff_factor: in (0, 1].
        min_scale, max_scale: bounds of the scale, positive.

    State: `DynamicLossScaleState(scale, good_steps, skipped, last_finite, inner_state)`, read by
        `tools.measurements`. Memory: `tx`'s.
    Raises: ValueError if the first scale is out of its bounds.
    Reference: Micikevicius et al., 2018, Mixed Precision Training, arXiv:1710.03740.

    Example:
        >>> tx, p = gc.dynamic_loss_scale(gc.sgd(1.0), init_scale=8.0), jnp.array([1.0])
        >>> state = tx.init(p)
        >>> for g in (jnp.inf, 4.0):  # no step, and the scale falls to 4, by which the next is divided
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist(), float(state.scale))
        [1.0] 4.0
        [0.0] 4.0
    """
    bounds = min_scale, init_scale, max_scale
    if all(isinstance(x, (int, float)) for x in bounds) and not min_scale <= init_scale <= max_scale:
        raise ValueError(
            f"dynamic_loss_scale: init_scale must be from min_scale={min_scale!r} to "
            f"max_scale={max_scale!r}, received {init_scale!r}."
        )
    inner = with_extra_args_support(tx)

    def init(params: Params) -> DynamicLossScaleState:
        zero, skipped = jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32)
        scale = jnp.array(init_scale, jnp.float32)
        return DynamicLossScaleState(scale, zero, skipped, jnp.array(True), inner.init(params))

    def run(
        whole: bool, updates: Updates, state: DynamicLossScaleState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, DynamicLossScaleState]:
        check_updates("dynamic_loss_scale", updates, params)
        finite = all_finite(updates)
        unscaling = wrapper(inner.init, functools.partial(_unscaled_first, inner, state.scale))
        result, inner_state = run_if(
            finite, unscaling, whole, updates, state.inner_state, params, extra_args
        )
        with relaxed_promotion():
            good = safe_increment(state.good_steps)
            grows = good >= growth_interval
            larger = jnp.where(grows, jnp.minimum(state.scale * growth_factor, max_scale), state.scale)
            smaller = jnp.maximum(state.scale * backoff_factor, min_scale)
            scale = jnp.where(finite, larger, smaller).astype(jnp.float32)
        good = jnp.where(finite & ~grows, good, jnp.zeros_like(good))
        skipped = jnp.where(finite, state.skipped, safe_increment(state.skipped))
        return result, DynamicLossScaleState(scale, good, skipped, finite, inner_state)

    return wrapper(init, run, one_program=True, inside=[(tx, ("inner_state",))])


def scale_loss(loss: Any, state: Any) -> Array:
    """The loss times the scale of `dynamic_loss_scale`: take the gradient of this.

        grads = jax.grad(lambda params: scale_loss(loss(params), state))(params)

    Args: loss, a real number or array; state, of a transformation with one `dynamic_loss_scale` anywhere in
        it, or Flax's `TrainState` or `nnx.Optimizer`.
    Returns: in at least float32, which a float16 loss times its scale needs.
    Raises: ValueError if the state has no scale, or several.
    """
    found = list(_scales(opt_state_of(state)))
    if len(found) != 1:
        has = f"{len(found)} of them" if found else "none"
        raise ValueError(
            f"scale_loss: expected a state with one dynamic_loss_scale in it, received one with {has}. "
            "Wrap the whole transformation, dynamic_loss_scale(tx), and give the state of its init or its "
            "last step."
        )
    with relaxed_promotion():
        return widen(jnp.asarray(loss)) * found[0].scale


def _scales(state: Any) -> Iterator[DynamicLossScaleState]:
    """All states of `dynamic_loss_scale` in a state."""

    def is_one(x: Any) -> bool:
        return isinstance(x, DynamicLossScaleState)

    for one in filter(is_one, jax.tree.leaves(state, is_leaf=is_one)):
        yield one
        yield from _scales(one.inner_state)
