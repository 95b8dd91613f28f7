"""Hyperparameters in a state, changed between two steps."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..core import Path, Unknown, nearest, state_at, with_state_at
from ..core.types import OptState
from ..tree.boxes import content, is_box


class Held(NamedTuple):
    """A hyperparameter in a state."""

    name: str  # dotted, beginning with the labels of its group
    place: Path


def set_hyperparams(state: OptState, **values: Any) -> OptState:
    """The same state with other hyperparameters: those of `tunable` and `inject_hyperparams`.

        state = set_hyperparams(state, **{"adamw.learning_rate": 1e-4})

    A compiled step goes on without compiling anew. A hyperparameter that follows a schedule
    (`inject_hyperparams`) is set by the schedule again at the next step.

    Args: state, of a transformation, or Flax's `TrainState` or `nnx.Optimizer` (which is changed itself, as
        all of nnx is); values, numbers by dotted name, or by the end
        of one where only one hyperparameter ends so: `learning_rate=1e-4`. They may be traced.
    Returns: another state; each number keeps its dtype and its sharding.
    Raises: KeyError for a name that the state does not hold (with the nearest), or that several end with;
        ValueError for what is not a number, or not finite where the present value is.
    """
    if hasattr(state, "opt_state") and hasattr(state, "replace"):  # Flax's TrainState
        return state.replace(opt_state=set_hyperparams(state.opt_state, **values))
    if hasattr(state, "opt_state"):  # nnx.Optimizer
        set_hyperparams(state.opt_state, **values)
        return state
    held = list(_held(state, (), ""))
    for name, value in values.items():
        place = _meant(name, held).place
        old = state_at(state, place)
        new = _like(name, value, content(old))
        if is_box(old):
            old.set_value(new)
        else:
            state = with_state_at(state, place, new)
    return state


def _like(name: str, value: Any, old: Any) -> jax.Array:
    """A value in the dtype, shape and sharding of the present one."""
    try:
        new = jnp.asarray(value, old.dtype)
    except (TypeError, ValueError):
        new = None
    if new is None or isinstance(value, bool) or new.shape not in ((), old.shape):
        raise ValueError(f"set_hyperparams: {name} must be one number, received {value!r}.")
    traced = isinstance(new, Tracer) or isinstance(old, Tracer)
    if not traced and bool(jnp.isfinite(old).all()) and not bool(jnp.isfinite(new).all()):
        raise ValueError(f"set_hyperparams: {name} must be finite, received {value!r}.")
    new = jnp.broadcast_to(new, old.shape)  # one for each run of a `vmap`
    # Where the old one was free to move the new one is: a committed array would be compiled for anew.
    return jax.device_put(new, old.sharding) if not traced and getattr(old, "committed", False) else new


def _meant(name: str, held: list[Held]) -> Held:
    """The hyperparameter that a name means."""
    if not held:
        raise Unknown(
            "set_hyperparams: the state holds no hyperparameters. Make the transformation with "
            "tunable(...), or make another one with tx.replace(...)."
        )
    for one in held:
        if one.name == name:
            return one
    # `inject_hyperparams` does not know the name of its factory, `tunable` that of its own group.
    meant = [one for one in held if one.name.endswith(f".{name}") or name.endswith(f".{one.name}")]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(one.name for one in meant or held)
    if meant:
        raise Unknown(f"set_hyperparams: {name!r} could be {names}: give one of these names.")
    hint = nearest(name, [one.name for one in held])
    raise Unknown(f"set_hyperparams: the state holds no {name!r}; it holds {names}.{hint}")


def _held(node: Any, place: Path, prefix: str) -> Iterator[Held]:
    """The hyperparameters in a state, with the labels that lead to them."""
    fields = getattr(node, "_fields", ())
    if "hyperparams" in fields and isinstance(node.hyperparams, dict):
        for name in node.hyperparams:
            yield Held(prefix + name, (*place, "hyperparams", name))
        yield from _held(node.inner_state, (*place, "inner_state"), prefix)
    elif fields:
        for field in fields:
            yield from _held(getattr(node, field), (*place, field), prefix)
    elif isinstance(node, dict):
        for key, child in node.items():
            yield from _held(child, (*place, key), f"{prefix}{key}.")
    elif isinstance(node, (tuple, list)):
        for i, child in enumerate(node):
            yield from _held(child, (*place, i), prefix)
