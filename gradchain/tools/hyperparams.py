"""The hyperparameters in use, by name."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..core import GradientTransformation, Part, Unknown, argument_of, declared_numbers, parts, state_at
from ..core.types import OptState
from ..schedules.inject import StatefulSchedule
from ..transforms import scaled_group
from ..transforms.tunable import tuned_names
from .steps import opt_state_of, steps_taken


def hyperparams(tx: GradientTransformation, state: OptState) -> dict[str, Any]:
    """The value of every hyperparameter that the next step will use, by dotted name.

        hyperparams(adamw(cosine_decay_schedule(1e-3, 100)), state)
        # {"adamw.learning_rate": 0.00099, "adamw.b1": 0.9, ...}

    A schedule is evaluated at the steps that its part has taken. The numbers of `tunable` and
    `inject_hyperparams` are read from the state; those of a `scaled_group` are products, under the name of
    what is scaled ("bias.adamw.learning_rate").
    Names are those of the calls, see `core.parts`; `print(tx)` shows the calls.

    Args: tx; state, of `tx.init` or of a step, or Flax's `TrainState` or `nnx.Optimizer`. Inside `jit` too.
    Returns: Python numbers as they were given, arrays where a schedule or the state gives the value.
    Raises: ValueError if the state does not belong to `tx`.
    """
    found: dict[str, Any] = {}
    state = opt_state_of(state)
    tuned = tuned_names(tx)
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
    return found | {name: state_at(state, place).hyperparams[key] for name, (place, key) in tuned.items()}


def learning_rate(tx: GradientTransformation, state: OptState) -> Any:
    """The learning rate that the next step will use: see `hyperparams`.

    Raises: KeyError if there is none, or several: then with their names.
    """
    part, argument = argument_of("learning_rate", tx, "learning_rate")
    found = hyperparams(tx, state)
    if f"{part.name}.{argument}" not in found:
        raise Unknown(f"learning_rate: {part.name} was given none: it finds its own steps.")
    return found[f"{part.name}.{argument}"]


def _values(part: Part, state: OptState) -> dict[str, Any]:
    """The numbers of one call, by argument."""
    injected = _injected(part, state) if hasattr(state, "hyperparams_states") else {}
    numbers = _numbers(part)
    count = steps_taken(state)
    count = jnp.zeros([], jnp.int32) if count is None else count
    return {
        name: injected.get(name, value(count) if callable(value) else value)
        for name, value in part.arguments.items()
        if name in injected or _is_number(value) or (name in numbers and callable(value))
    }


def _injected(part: Part, state: Any) -> dict[str, Any]:
    """The numbers in a state of `inject_hyperparams`; those of schedules are the last step's there."""
    found = dict(state.hyperparams)
    for name, schedule_state in state.hyperparams_states.items():
        schedule = part.arguments[name]
        if not isinstance(
            schedule, StatefulSchedule
        ):  # one that reads extra arguments is asked in the step
            found[name] = schedule(schedule_state.count)
    return found


def _numbers(part: Part) -> Mapping[str, Any]:
    factory = getattr(part.pair.factory, "inner_factory", part.pair.factory)
    return (declared_numbers(factory) if factory else None) or {}


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float, np.number)) or (hasattr(value, "dtype") and jnp.ndim(value) == 0)
