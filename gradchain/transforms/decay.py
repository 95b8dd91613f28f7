"""Weight decay."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ..core.chain import identity
from ..core.lift import leafwise
from ..core.order import Trait
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import EmptyState, MaskOrFn, Params, ScalarOrSchedule
from ..core.whole import each
from .masking import is_tree_fn, masked

AddDecayedWeightsState = EmptyState


class WeightDecaySchedule(NamedTuple):
    """State of `add_decayed_weights` with a schedule."""

    count: jax.Array  # i32[]  steps taken


def is_zero(weight_decay: ScalarOrSchedule) -> bool:
    """Whether a weight decay is the Python number 0, so that nothing need be done."""
    return isinstance(weight_decay, (int, float)) and weight_decay == 0


def _decay(weight_decay: ScalarOrSchedule) -> GradientTransformationExtraArgs:
    def update(g: Any, s: Any, p: Any) -> tuple[Any, tuple[()]]:
        factor = weight_decay(s.count - 1) if callable(weight_decay) else weight_decay
        return g + factor * p, ()

    state = WeightDecaySchedule if callable(weight_decay) else EmptyState
    return leafwise(state, lambda p: (), update, name="add_decayed_weights", needs_params=True).saying(
        Trait.DECAYS
    )


@transformation
def add_decayed_weights(
    weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """Adds a multiple of the parameters to the updates: u = g + weight_decay p.

    Before the learning rate and after a rescaling rule this is decoupled weight decay (AdamW); before
    the rule it is an L2 penalty.

    Args:
        weight_decay: a number, an array or a schedule; the number 0 adds nothing.
        mask: a tree of booleans, or a function from the parameters to one: where to decay.

    State: `EmptyState`, `WeightDecaySchedule(count)` for a schedule, in a `MaskedState` with a mask.
    Raises: ValueError if `update` gets no parameters.
    Reference: Loshchilov and Hutter, 2017, Decoupled Weight Decay Regularization, arXiv:1711.05101.
    """
    decay = identity() if is_zero(weight_decay) else _decay(weight_decay)
    return decay if mask is None else masked(decay, mask)


def decoupled(
    weight_decay: ScalarOrSchedule, weight_decay_mask: MaskOrFn
) -> tuple[GradientTransformationExtraArgs, ...]:
    """The link for an optimizer's `weight_decay`, or none where it is the number 0."""
    if is_zero(weight_decay):
        return ()
    return (add_decayed_weights(weight_decay, weight_decay_mask),)


def _where(mask: Any, params: Params, yes: Callable[[Any], Any]) -> Params:
    """`yes` of the parameters where a mask says to decay, zeros elsewhere."""
    keep = mask(params) if is_tree_fn(mask) else mask
    return jax.tree.map(
        lambda k, node: jax.tree.map(yes if k else jax.numpy.zeros_like, node), keep, params
    )


def decayed_params(mask: MaskOrFn) -> Callable[[Params], Params]:
    """The parameters with zeros where a mask says not to decay, for rules that decay by themselves."""
    return lambda params: params if mask is None else _where(mask, params, lambda p: p)


def decay_weights(mask: MaskOrFn) -> Callable[[Params], Params]:
    """Ones where a mask says to decay, zeros elsewhere."""
    return lambda params: _where(mask, params, jax.numpy.ones_like)


def shrinkage(factor: Any, ps: list[Any], decayed: list[Any] | None) -> list[Any]:
    """1 + factor for each parameter, or where `decayed` (see `decay_weights`) is 1."""
    if decayed is None:
        return [1 + factor] * len(ps)
    return each(lambda weight: 1 + factor * weight, decayed)


def one_mask(name: str, mask: MaskOrFn, weight_decay_mask: MaskOrFn) -> MaskOrFn:
    """The decay mask of an optimizer that takes it under either name; ValueError if both are given."""
    if mask is not None and weight_decay_mask is not None:
        raise ValueError(f"{name}: mask and weight_decay_mask are two names of one argument: give one.")
    return weight_decay_mask if mask is None else mask
