"""All the numbers of a transformation kept in its state, where they can be changed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Part,
    Path,
    declared_numbers,
    is_whole,
    key_of_value,
    parts,
    replaced_at,
    signature,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.types import OptState, Params, Updates
from ..schedules.inject import as_number, number_dtype


class TunableState(NamedTuple):
    """State of `tunable`."""

    hyperparams: dict[str, jax.Array]  # by dotted name, f32[] (f64[] for f64 params): the values in use
    inner_state: OptState  # the inner transformation's


@transformation
def tunable(inner: GradientTransformation):
    """Keeps every number of any transformation in the state, where it can be changed between steps.

        tx = tunable(chain(clip_by_global_norm(1.0), adamw(1e-3)))
        state = tx.init(params)
        state = set_hyperparams(state, **{"adamw.learning_rate": 1e-4})  # nothing is compiled anew

    The steps are those of `inner`. `inject_hyperparams` does the same for one factory, and with schedules.
    Here a schedule stays a schedule: to replace it by a number, use `tx.replace`.

    Args: inner, any transformation; what in it does not remember its call stays as it is. Kept are the
        arguments that are declared as numbers and have one. Integers that shape the state and flags stay. A
        number that Optax's factory lacks (such as `weight_decay` of `adam`) is kept only if it is not the
        default, for it may add a link.

    State: `TunableState(hyperparams, inner_state)`; names are those of `core.parts`,
        "adamw.b1"; whole numbers (an interval) are i32[].
    Memory: 4 bytes a number, and that of `inner`.

    Example:
        >>> tx, g = gc.tunable(gc.sgd(0.5)), jnp.array([1.0])
        >>> state = gc.set_hyperparams(tx.init(g), learning_rate=2.0)
        >>> tx.update(g, state, g)[0].tolist()
        [-2.0]
    """
    places = {}
    values = {}
    for part in parts(inner):
        for name, value in _numbers(part).items():
            places[f"{part.name}.{name}"] = (*part.where, name)
            values[f"{part.name}.{name}"] = value

    def with_values(numbers: Mapping[str, Any]) -> GradientTransformationExtraArgs:
        tx = inner
        for name, value in numbers.items():
            tx = replaced_at(tx, places[name], value)
        return with_extra_args_support(tx)

    def init(params: Params) -> TunableState:
        dtype = number_dtype(None, params)
        numbers = {name: as_number(value, dtype) for name, value in values.items()}
        return TunableState(numbers, with_values(numbers).init(params))

    def run(
        whole: bool, updates: Updates, state: TunableState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, TunableState]:
        tx = with_values(state.hyperparams)
        result, inner_state = tx.run(whole, updates, state.inner_state, params, **extra_args)
        return result, TunableState(state.hyperparams, inner_state)

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))])


def tuned_names(tx: GradientTransformation) -> dict[str, tuple[Path, str]]:
    """By dotted name in the whole: the place of the state that holds a number, and its name there."""
    found = {}
    calls = parts(tx)
    for outer in calls:
        if outer.pair.factory is not tunable:
            continue
        start = (*outer.where, "inner")
        within = [part for part in calls if part.where[: len(start)] == start]
        for inner, part in zip(parts(outer.pair.arguments["inner"]), within, strict=True):
            for name in _numbers(inner):
                found[f"{part.name}.{name}"] = (outer.place, f"{inner.name}.{name}")
    return found


def _numbers(part: Part) -> dict[str, Any]:
    """The numbers of a call that a trace may stand for."""
    factory = part.pair.factory
    if factory is None or hasattr(factory, "inner_factory"):  # injected: in a state already
        return {}
    declared = declared_numbers(factory) or {}
    parameters = signature(factory).parameters
    return {
        name: float(value) if type(value) is int and not is_whole(factory, name) else value
        for name, value in part.arguments.items()
        if name in declared
        and isinstance(value, (int, float, jax.Array))
        and not isinstance(value, bool)
        and not (declared[name].added and key_of_value(value) == key_of_value(parameters[name].default))
    }
