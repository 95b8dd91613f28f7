"""The hyperparameters in use, by name."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import GradientTransformation, Part, argument_of, declared_numbers, parts, state_at
from ..core.types import OptState, counter_of
from ..transforms import scaled_group


def hyperparams(tx: GradientTransformation, state: OptState) -> dict[str, Any]:
    """The value of every hyperparameter that the next step will use, by dotted name.

        hyperparams(adamw(cosine_decay_schedule(1e-3, 100)), state)
        # {"adamw.learning_rate": 0.00099, "adamw.b1": 0.9, ...}

    A schedule is evaluated at the steps that its part has taken; injected numbers are read from the state;
    those of a `scaled_group` are products, under the name of what is scaled ("bias.adamw.learning_rate").
    Names are those of the calls, see `core.parts`; `print(tx)` shows the calls.

    Args: tx; state, of `tx.init` or of a step, or Flax's `TrainState` or `nnx.Optimizer`. Inside `jit` too.
    Returns: Python numbers as they were given, arrays where a schedule or the state gives the value.
    Raises: ValueError if the state does not belong to `tx`.
    """
    found: dict[str, Any] = {}
    state = getattr(state, "opt_state", state)
    for part in parts(tx):
        try:
            inner = state_at(state, part.place)
        except (AttributeError, IndexError, KeyError, TypeError):
            raise ValueError(
                f"hyperparams: the state does not belong to this transformation: it has nothing for "
                f"{part.name}. Give the state that its init, or its last step, returned."
            ) from None
        found |= {f"{part.name}.{name}": value for name, value in _values(part, inner).items()}
        if part.pair.factory is scaled_group:
            group = part.name.replace(f".{scaled_group.__name__}", "")
            scaled = hyperparams(part.pair.inside[0][0], inner)
            found |= {f"{group}.{name}": value for name, value in scaled.items()}
    return found


def learning_rate(tx: GradientTransformation, state: OptState) -> Any:
    """The learning rate that the next step will use: see `hyperparams`.

    Raises: KeyError if there is none, or several: then with their names.
    """
    part, argument = argument_of("learning_rate", tx, "learning_rate")
    return hyperparams(tx, state)[f"{part.name}.{argument}"]


def _values(part: Part, state: OptState) -> dict[str, Any]:
    """The numbers of one call, by argument."""
    injected = state.hyperparams if hasattr(state, "hyperparams") else {}
    numbers = _numbers(part)
    count = _steps_taken(state)
    return {
        name: injected.get(name, value(count) if callable(value) else value)
        for name, value in part.arguments.items()
        if name in injected or _is_number(value) or (name in numbers and callable(value))
    }


def _numbers(part: Part) -> Mapping[str, Any]:
    factory = getattr(part.pair.factory, "inner_factory", part.pair.factory)
    return (declared_numbers(factory) if factory else None) or {}


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float, np.number)) or (hasattr(value, "dtype") and jnp.ndim(value) == 0)


def _steps_taken(state: OptState) -> Any:
    """The first count in a state; 0 if there is none."""

    def counts(node: Any) -> bool:
        return counter_of(node) is not None

    for node in jax.tree.leaves(state, is_leaf=counts):
        if counts(node):
            return getattr(node, counter_of(node) or "count")
    return jnp.zeros([], jnp.int32)
