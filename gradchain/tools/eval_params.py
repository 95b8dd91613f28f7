"""The parameters to evaluate, where they are not the ones in training."""

from typing import Any

import jax

from ..core import is_inexact
from ..core.types import OptState, Params
from ..transforms.masking import MaskedNode


def _has_own(node: Any) -> bool:
    return isinstance(node, tuple) and hasattr(node, "_fields") and hasattr(node, "eval_params")


def _stands_for_nothing(x: Any) -> bool:
    return isinstance(x, MaskedNode) or x is None


def eval_params(state: OptState, params: Params) -> Params:
    """The parameters to evaluate and to keep, found in the state of any transformation.

    Optimizers such as `schedule_free` and `lookahead` train one set of parameters and mean another.
    Their states have a method `eval_params(params)`; this function finds such states in a chain, a
    mask, a partition or any other wrapper, and asks each in turn. Where there is none the parameters
    themselves are returned, so one evaluation loop serves every optimizer.

    Args:
        state: the state of a transformation.
        params: the parameters in training.

    Returns: parameters like `params`. Where a mask hides a parameter from a state, it stays.
    """
    for node in jax.tree.leaves(state, is_leaf=_has_own):
        if _has_own(node):
            inner = [child for child in node if not _is_array(child)]
            found = node.eval_params(eval_params(inner, params))
            params = _filled(found, params)
    return params


def _is_array(x: Any) -> bool:
    """Whether `x` is one array of numbers, in which no state can be."""
    return hasattr(x, "dtype") and is_inexact(x)


def _filled(found: Params, params: Params) -> Params:
    """`found`, with the parameters themselves where it has nothing."""
    if not any(map(_stands_for_nothing, jax.tree.leaves(found, is_leaf=_stands_for_nothing))):
        return found
    return jax.tree.map(
        lambda x, p: p if _stands_for_nothing(x) else x, found, params, is_leaf=_stands_for_nothing
    )
