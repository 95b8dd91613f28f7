"""The decorator that makes a factory's pairs remember the call that made them."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, overload

import jax

from ._call import Call, Form
from ._documentation import completed
from ._numbers import Range, check_numbers, numbers_of
from ._pair import GradientTransformation, GradientTransformationExtraArgs
from ._scheduled import scheduled
from ._values import name_of
from .types import NumberType, Schedule

P = ParamSpec("P")
Factory = Callable[P, GradientTransformationExtraArgs]

NUMBERS = frozenset([int, float, bool, type(None)])
"""The types of arguments with which `deferred` factories run later: `RANGES` says what may be wrong."""


@overload
def transformation(factory: Callable[P, Any], /) -> Factory[P]: ...


@overload
def transformation(
    *, deferred: bool = False, check: Callable[..., None] | None = None, **ranges: Range
) -> Callable[[Callable[P, Any]], Factory[P]]: ...


def transformation(
    factory: Callable[..., Any] | None = None,
    /,
    *,
    deferred: bool = False,
    check: Callable[..., None] | None = None,
    **ranges: Range,
) -> Any:
    """Makes a factory's pairs remember the call: repr, equality, hash, pickle, links.

    Numbers are checked against `RANGES`, or against the ranges given to the decorator:
    `@transformation(b2=CLOSED_UNIT)`. A schedule given for a `Hyperparameter` is read before each
    update, so that the factory's own code meets numbers only.

    Args:
        deferred: whether the factory's own code, where only numbers are given, runs when the pair is first
            used. It must not raise or warn then: for factories that only put others together.
        check: raises or warns, given the arguments by name, where the factory's own code would. That code
            runs when the pair is first used then, whatever is given that holds no arrays.
    """
    if factory is None:
        return functools.partial(transformation, deferred=deferred, check=check, **ranges)
    numbers = numbers_of(factory)

    def make(call: Call) -> GradientTransformationExtraArgs:
        name = name_of(factory)
        schedules = {n: call.arguments[n] for n in numbers if callable(call.arguments[n])}
        resolved: dict[str, Schedule] = {n: f for n, f in schedules.items() if numbers[n].resolved}
        body = functools.partial(call.run, factory)
        made = scheduled(name, body, resolved) if resolved else body()
        if not isinstance(made, GradientTransformation):
            raise TypeError(f"{name}: expected a pair (init, update) from the factory, received {made!r}.")
        if not isinstance(made, GradientTransformationExtraArgs):
            made = GradientTransformationExtraArgs(*made)
        return made.remembering(call)

    @functools.lru_cache(maxsize=256)  # equal calls share compiled rules
    def make_once(call: Call) -> GradientTransformationExtraArgs:
        with jax.ensure_compile_time_eval():  # what is kept must hold no tracers
            return make(call)

    @functools.cache  # at the first call: most factories are never called
    def form() -> Form:
        return Form(remembering)

    @functools.wraps(factory)
    def remembering(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        known = form()
        given = known.given(args, kwargs)
        _check_given(known.name, given, numbers, ranges)
        call = known.call(given)
        if deferred and NUMBERS.issuperset(map(type, given.values())):
            return GradientTransformationExtraArgs.later(make_once, call)
        if check is not None:
            check(**call.arguments)
        if not call.is_pure_value:
            return make(call)  # it may hold arrays, which no cache may keep
        return make_once(call) if check is None else GradientTransformationExtraArgs.later(make_once, call)

    returns = GradientTransformationExtraArgs
    remembering.__signature__ = inspect.signature(factory).replace(return_annotation=returns)  # type: ignore[attr-defined]
    remembering.__doc__ = completed(factory)
    remembering.numbers = numbers  # type: ignore[attr-defined]
    return remembering


def _check_given(
    name: str, given: Mapping[str, Any], numbers: Mapping[str, NumberType], ranges: Mapping[str, Range]
) -> None:
    """Checks the arguments of a call.

    Raises: what `check_numbers` does; TypeError for a schedule where no steps are counted.
    """
    check_numbers(name, given, ranges)
    for argument, value in given.items():
        if callable(value) and argument in numbers and not numbers[argument].scheduled:
            raise TypeError(
                f"{name}: {argument} takes a number or an array, since no steps are counted here. "
                f"Schedule it with inject_hyperparams({name})."
            )
