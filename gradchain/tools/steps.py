"""The steps that a state has counted."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from ..core import GradientTransformation, state_at, with_state_at
from ..core.types import OptState
from ..tree.boxes import content, opt_state_of
from .slots import pattern_of

COUNTERS = {"count": 0, "t": 0, "count_m2": 0, "gradient_step": 0, "step": 0, "step_count": 1}
"""The fields of states that count steps, with what each holds before the first step."""


def step_count(state: OptState) -> Any:
    """The steps that a transformation has taken: its first counter, i32[].

    Micro-steps of an accumulation are not counted, only its steps. A step that was skipped
    (`apply_if_finite`) is not counted by what is inside.

    Args: state, of `tx.init` or of a step, or Flax's `TrainState` or `nnx.Optimizer`. Inside `jit` too.
    Raises: ValueError if nothing in the state counts steps (plain `sgd` with a constant rate, say).
    """
    found = steps_taken(opt_state_of(state))
    if found is None and hasattr(state, "opt_state") and hasattr(state, "step"):
        found = content(state.step)  # Flax counts too
    if found is None:
        raise ValueError(
            "step_count: nothing in the state counts steps. Add a link that does, such as "
            "scale_by_schedule, or count in the training loop."
        )
    return found


def steps_taken(state: OptState) -> Any:
    """The first counter of a state, or None."""
    for place, field in counters(state):
        return state_at(state, (*place, field)) - COUNTERS[field]
    return None


def set_step(tx: GradientTransformation, state: OptState, n: int) -> OptState:
    """The same state at step `n`: all counters, and with them all schedules and bias corrections.

        state = set_step(tx, state, 0)  # begin the schedule again, and keep the moments

    Micro-steps since the last step, and what conditions count of their own, stay.

    Args: tx; state, of it; n, steps taken, at least 0; a counter that begins elsewhere (adafactor's
        `step_offset`) moves on from there.
    Returns: another state; counters keep their dtype and their sharding.
    Raises: ValueError for a negative or broken number.
    """
    if (
        isinstance(n, bool)
        or not (isinstance(n, int) or hasattr(n, "dtype"))
        or (isinstance(n, int) and n < 0)
    ):
        raise ValueError(f"set_step: n must be a whole number, at least 0, received {n!r}.")
    first = pattern_of(tx)
    for place, field in list(counters(state)):
        at = (*place, field)
        try:
            begin = state_at(first, at)
        except (AttributeError, IndexError, KeyError, TypeError):
            begin = COUNTERS[field]
        old = state_at(state, at)
        # From the old one, so that its dtype, its sharding and a batch of `vmap` stay.
        state = with_state_at(state, at, old - old + jnp.asarray(begin + n, old.dtype))
    return state


def counters(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The places of states and their fields that count steps, outermost first."""
    fields = getattr(node, "_fields", ())
    if "plateau_count" not in fields:  # there `count` is of an average
        for field in fields:
            if field in COUNTERS and _is_counter(getattr(node, field)):
                yield place, field
    children = [(f, getattr(node, f)) for f in fields]
    if isinstance(node, dict):
        children = list(node.items())
    elif not fields and isinstance(node, (tuple, list)):
        children = list(enumerate(node))
    for key, child in children:
        yield from counters(child, (*place, key))


def _is_counter(x: Any) -> bool:
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.integer) and jax.tree_util.all_leaves([x])
