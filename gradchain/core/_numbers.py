"""The numbers of a factory: which of its arguments are numbers, and what each may be."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from . import types as _types
from ._values import signature
from .types import NumberType


class Range(NamedTuple):
    """A range: how an error describes it, and whether a number is in it."""

    text: str
    holds: Callable[[Any], bool]


FINITE = Range("finite", math.isfinite)
NOT_NAN = Range("a number", lambda x: not math.isnan(x))
NON_NEGATIVE = Range("finite and at least 0", lambda x: 0 <= x < math.inf)
NON_NEGATIVE_OR_INF = Range("at least 0", lambda x: x >= 0)
POSITIVE = Range("finite and more than 0", lambda x: 0 < x < math.inf)
UNIT = Range("in [0, 1)", lambda x: 0 <= x < 1)
AT_LEAST_1 = Range("a whole number of at least 1", lambda x: x >= 1 and x == int(x))
CLOSED_UNIT = Range("in [0, 1]", lambda x: 0 <= x <= 1)

RANGES: dict[str, Range] = {
    "learning_rate": FINITE,
    "step_size": FINITE,
    "weight_decay": FINITE,
    "momentum": FINITE,
    "b1": UNIT,
    "b2": UNIT,
    "b3": UNIT,
    "rho": UNIT,
    "decay": CLOSED_UNIT,
    "eps": NON_NEGATIVE,
    "eps_root": NON_NEGATIVE,
    "epsilon": NON_NEGATIVE,
    "min_norm": NON_NEGATIVE,
    "min_scale": NON_NEGATIVE,
    "trust_coefficient": FINITE,
    "initial_accumulator_value": NON_NEGATIVE,
    "initial_scale": NON_NEGATIVE,
    "max_delta": NON_NEGATIVE_OR_INF,
    "max_norm": NON_NEGATIVE_OR_INF,
}
"""The range of each name, the same in every factory unless its decorator says otherwise."""


def numbers_of(factory: Callable[..., Any]) -> dict[str, NumberType]:
    """The arguments of a factory that are annotated as numbers, by name.

    An annotation may be a string, as `from __future__ import annotations` makes it.
    """
    parameters = signature(factory).parameters
    kinds = {name: _evaluated(p.annotation, factory) for name, p in parameters.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, NumberType)}


def declared_numbers(factory: Callable[..., Any]) -> dict[str, NumberType] | None:
    """The numbers of a factory that declares its arguments; None of a foreign one."""
    if isinstance(factory, functools.partial):
        return declared_numbers(factory.func)
    known = getattr(factory, "numbers", None)
    return known if isinstance(known, dict) else numbers_of(factory) or None


def is_whole(factory: Callable[..., Any], name: str) -> bool:
    """Whether an argument is a whole number by its default: steps, an interval."""
    return type(signature(factory).parameters[name].default) is int


def _evaluated(annotation: Any, factory: Callable[..., Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    function = inspect.unwrap(factory)
    try:
        closure = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
        return eval(annotation, getattr(function, "__globals__", {}), dict(closure))
    except Exception:  # an annotation may name what exists for type checkers only
        word, _, rest = annotation.partition("|")
        kind = getattr(_types, word.strip().rpartition(".")[2], None)
        return kind | None if isinstance(kind, NumberType) and rest.strip() == "None" else kind


def check_numbers(name: str, arguments: Mapping[str, Any], ranges: Mapping[str, Range]) -> None:
    """Checks the numbers and dtypes of a call; arrays and tracers pass.

    Raises: ValueError for a Python number outside its range; TypeError for an argument that is no
        number, array or function at all, and for a dtype that is not floating point or complex.
    """
    for argument, value in arguments.items():
        allowed = ranges.get(argument) or RANGES.get(argument)
        if type(value) is float and (allowed is None or allowed.holds(value)):
            continue
        if isinstance(value, np.dtype) and not jnp.issubdtype(value, jnp.inexact):
            raise TypeError(
                f"{name}: {argument} must be floating point or complex, such as 'float32', received "
                f"{value.name!r}."
            )
        if allowed is None or value is None or callable(value):
            continue
        if isinstance(value, (bool, str, bytes, complex)) or not (
            isinstance(value, (int, float)) or hasattr(value, "dtype")
        ):
            raise TypeError(
                f"{name}: {argument} must be a number, an array or a schedule, received {value!r}."
            )
        if isinstance(value, (int, float)) and not _is_in(allowed, value):
            raise ValueError(f"{name}: {argument} must be {allowed.text}, received {_brief(value)}.")
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
            raise TypeError(f"{name}: {argument} must be real, received dtype {value.dtype}.")


def _is_in(allowed: Range, value: float) -> bool:
    try:
        return allowed.holds(float(value))
    except OverflowError:  # an integer above the largest float
        return False


def _brief(value: float) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"an integer of {len(text)} digits"
