"""A group of parameters whose transformation is the default one with other numbers."""

import math
from collections.abc import Mapping
from typing import Any

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Part,
    argument_of,
    declared_numbers,
    relaxed_promotion,
    replaced,
    transformation,
    with_extra_args_support,
)
from ..core.types import Numeric, OptState, Params, Updates
from ..schedules import scaled_schedule

SHORT = {"lr": "learning_rate"}


@transformation
def scaled_group(**multipliers: Numeric):
    """Among the rules of `groups`: the default transformation, with some of its numbers multiplied.

        groups({r".*bias": scaled_group(lr=0.1, weight_decay=0)}, default=adamw(1e-3, weight_decay=0.1))

    Args:
        multipliers: by the name of an argument of the default transformation, what to multiply it with, a
            number or a schedule alike. `lr` is short for `learning_rate`. In a chain where several have the
            argument, the dotted name: `scaled_group(**{"adamw.learning_rate": 0.1})`.

    State: that of the default transformation, for this group's parameters.
    Raises: TypeError for a multiplier that is no number; ValueError for one that is not finite, and for
        `init` anywhere but in `groups`.

    Example:
        >>> tx = gc.groups({".*bias": gc.scaled_group(lr=0.5)}, default=gc.sgd(1.0))
        >>> g = {"bias": jnp.ones(1), "w": jnp.ones(1)}
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> print({name: x.item() for name, x in u.items()})
        {'bias': -0.5, 'w': -1.0}
    """
    if not multipliers:
        raise TypeError("scaled_group: give at least one multiplier, such as scaled_group(lr=0.1).")
    for name, factor in multipliers.items():
        if isinstance(factor, (bool, str)) or not (
            isinstance(factor, (int, float)) or getattr(factor, "shape", None) == ()
        ):
            raise TypeError(f"scaled_group: {name} must be a number, received {factor!r}.")
        if isinstance(factor, (int, float)) and not math.isfinite(factor):
            raise ValueError(f"scaled_group: {name} must be finite, received {factor!r}.")
    if "lr" in multipliers and "learning_rate" in multipliers:
        raise TypeError("scaled_group: lr and learning_rate are two names of one argument: give one.")

    def init(params: Params) -> OptState:
        raise ValueError(
            "scaled_group: multiplies the numbers of the default of groups, and has a meaning only among "
            "its rules: groups({'.*bias': scaled_group(lr=0.1)}, default=adamw(1e-3))."
        )

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        return init(updates), state

    return GradientTransformationExtraArgs(init, update)


def is_scaled_group(rule: Any) -> bool:
    """Whether this is what `scaled_group` gives."""
    return getattr(rule, "factory", None) is scaled_group


def scaled_from(who: str, rule: Any, default: Any) -> GradientTransformationExtraArgs:
    """What a `scaled_group` does: the default transformation with its numbers multiplied.

    Returns: a pair that remembers the rule's call, and has what it does inside.
    Raises: TypeError without a default transformation, or for an argument that is no number; KeyError for
        an argument that it does not have; ValueError for a product that is out of range.
    """
    if not isinstance(default, GradientTransformation) or is_scaled_group(default):
        raise TypeError(
            f"{who}: scaled_group multiplies the numbers of the default: give a transformation that "
            f"remembers its call as default, such as adamw(1e-3); received {default!r}."
        )
    changes: dict[str, Any] = {}
    for short, factor in rule.arguments["multipliers"].items():
        part, argument = argument_of(who, default, SHORT.get(short) or short)
        dotted = f"{part.name}.{argument}"
        if callable(part.arguments[argument]) and argument not in _numbers(part):
            raise TypeError(f"{who}: {dotted} is a function, but no schedule: it cannot be multiplied.")
        changes[dotted] = _times(who, dotted, part.arguments[argument], factor)
    try:
        tx = with_extra_args_support(replaced(default, changes, who))
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from None
    return GradientTransformationExtraArgs(tx[0], tx[1], step=tx.step, call=rule.call, inside=[(tx, ())])


def _numbers(part: Part) -> Mapping[str, Any]:
    factory = getattr(part.pair.factory, "inner_factory", part.pair.factory)
    return (declared_numbers(factory) if factory else None) or {}


def _times(who: str, name: str, value: Any, factor: Any) -> Any:
    if callable(value):
        return scaled_schedule(value, factor)
    if isinstance(value, (bool, str)) or not (isinstance(value, (int, float)) or hasattr(value, "dtype")):
        raise TypeError(f"{who}: {name} is {value!r}, which cannot be multiplied: give a number for it.")
    with relaxed_promotion():
        return value * factor
