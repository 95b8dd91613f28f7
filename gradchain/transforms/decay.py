"""Weight decay."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    Trait,
    identity,
    init_empty_state,
    leafwise,
    transformation,
)
from ..core.types import (
    Array,
    Count,
    EmptyState,
    Hyperparameter,
    MaskOrFn,
    Numeric,
    Params,
    ScalarOrSchedule,
)
from .masking import is_tree_fn, masked

AddDecayedWeightsState = EmptyState


class WeightDecaySchedule(NamedTuple):
    """State of `add_decayed_weights` with a schedule."""

    count: Count  # i32[]  steps taken


def is_zero(weight_decay: ScalarOrSchedule) -> bool:
    """Whether a weight decay is the Python number 0, so that there is nothing to do."""
    return isinstance(weight_decay, (int, float)) and weight_decay == 0


@transformation
def _decay_all(weight_decay: Hyperparameter):
    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        return g + weight_decay * p, s

    # A negative one is meant to stand after the learning rate
    against = isinstance(weight_decay, (int, float)) and weight_decay < 0
    return leafwise(
        init_empty_state,
        update,
        name="add_decayed_weights",
        needs_params=True,
        scheduled_state=WeightDecaySchedule,
        traits=[Trait.SHRINKS if against else Trait.DECAYS],
    )


@transformation
def add_decayed_weights(weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None):
    """Adds a multiple of the parameters to the updates: u = g + weight_decay p.

    After a rule such as Adam's and before the learning rate, this is decoupled weight decay (AdamW).
    Before the rule, it is an L2 penalty.

    Args:
        weight_decay: a number, an array or a schedule; the number 0 adds nothing.
        mask: where to decay: a tree of booleans, or a function from the parameters to one.

    State: `EmptyState`, `WeightDecaySchedule(count)` for a schedule, in a `MaskedState` with a mask.
    Raises: ValueError if `update` gets no parameters.
    Reference: Loshchilov and Hutter, 2017, Decoupled Weight Decay Regularization, arXiv:1711.05101.

    Example:
        >>> tx, p = gc.add_decayed_weights(0.5), jnp.array([2.0, -4.0])
        >>> u, state = tx.update(jnp.array([1.0, 1.0]), tx.init(p), p)
        >>> u.tolist()
        [2.0, -1.0]
    """
    decay = identity() if is_zero(weight_decay) else _decay_all(weight_decay)
    return decay if mask is None else masked(decay, mask)


def decoupled(
    weight_decay: ScalarOrSchedule, weight_decay_mask: MaskOrFn
) -> tuple[GradientTransformationExtraArgs, ...]:
    """The link for an optimizer's `weight_decay`; no link for the number 0."""
    if is_zero(weight_decay):
        return ()
    return (add_decayed_weights(weight_decay, weight_decay_mask),)


@transformation
def _decay_moved(learning_rate: Hyperparameter, weight_decay: Hyperparameter):
    def update(u: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        return u - learning_rate * weight_decay * (p + u), s

    return leafwise(
        init_empty_state,
        update,
        name="decoupled_last",
        needs_params=True,
        scheduled_state=WeightDecaySchedule,
        traits=[Trait.SHRINKS],
    )


@transformation
def _decay_moved_later(learning_rate: Hyperparameter, weight_decay: Hyperparameter):
    def init(p: Array) -> WeightDecaySchedule:
        return WeightDecaySchedule(count=0)

    def update(u: Array, s: WeightDecaySchedule, p: Array) -> tuple[Array, WeightDecaySchedule]:
        rate = jnp.where(s.count > 1, learning_rate * weight_decay, 0)
        return u - rate * (p + u), s

    return leafwise(init, update, name="decoupled_last", needs_params=True, traits=[Trait.SHRINKS])


def decoupled_last(
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule,
    weight_decay_mask: MaskOrFn,
    *,
    from_the_second: bool = False,
) -> tuple[GradientTransformationExtraArgs, ...]:
    """The last link of an optimizer that moves the parameters first and then makes them smaller.

    p = (p - learning_rate u) (1 - learning_rate weight_decay); no link for a decay of 0. With
    `from_the_second` it leaves out the first step, as optimizers do that begin by measuring.
    """
    if is_zero(weight_decay):
        return ()
    decay = (_decay_moved_later if from_the_second else _decay_moved)(learning_rate, weight_decay)
    return (decay if weight_decay_mask is None else masked(decay, weight_decay_mask),)


def decays(mask: MaskOrFn) -> Callable[[Params], Params] | None:
    """The `settings` of `treewise` for a rule with its own decay: whether each leaf decays."""
    if mask is None:
        return None

    def settings(params: Params) -> Params:
        keep = mask(params) if is_tree_fn(mask) else mask
        return jax.tree.map(lambda k, node: jax.tree.map(lambda _: bool(k), node), keep, params)

    return settings


def decay_of(factor: Numeric, ps: list[Array], settings: Sequence[bool]) -> list[Array]:
    """`factor` for each parameter that decays, 0 for the others."""
    factor = jnp.asarray(factor)
    return [factor if decays else jnp.zeros_like(factor) for decays in settings or [True] * len(ps)]


def shrinkage(factor: Numeric, ps: list[Array], settings: Sequence[bool]) -> list[Array]:
    """1 + factor for each parameter that decays, 1 for the others."""
    return [1 + decay for decay in decay_of(factor, ps, settings)]
