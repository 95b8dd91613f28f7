"""The decorator that makes a factory's pairs remember the call that made them."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, overload

import jax

from ._call import Call
from ._documentation import completed
from ._numbers import Range, check_numbers, numbers_of
from ._pair import GradientTransformation, GradientTransformationExtraArgs
from ._scheduled import scheduled
from ._values import name_of
from .types import Schedule

P = ParamSpec("P")
Factory = Callable[P, GradientTransformationExtraArgs]

try:
    from jax.extend.core import get_opaque_trace_state
except ImportError:  # before JAX 0.10; its public name was gone by 0.7
    from jax._src.core import trace_state_clean

    def is_tracing() -> bool:
        """Whether a function is being traced: then nothing may be remembered."""
        return not trace_state_clean()

else:
    with jax.ensure_compile_time_eval():
        _NO_TRACE = get_opaque_trace_state(convention="nnx")

    def is_tracing() -> bool:
        """Whether a function is being traced: then nothing may be remembered."""
        return get_opaque_trace_state(convention="nnx") != _NO_TRACE


@overload
def transformation(factory: Callable[P, Any], /) -> Factory[P]: ...


@overload
def transformation(**ranges: Range) -> Callable[[Callable[P, Any]], Factory[P]]: ...


def transformation(factory: Callable[..., Any] | None = None, /, **ranges: Range) -> Any:
    """Makes a factory's pairs remember the call: repr, equality, hash, pickle, links.

    Numbers are checked against `RANGES`, or against the ranges given to the decorator:
    `@transformation(b2=CLOSED_UNIT)`. A schedule given for a `Hyperparameter` is read before each
    update, so that the factory's own code meets numbers only.
    """
    if factory is None:
        return functools.partial(transformation, **ranges)
    numbers = numbers_of(factory)

    def make(call: Call) -> GradientTransformationExtraArgs:
        name = name_of(factory)
        check_numbers(name, call.arguments, ranges)
        schedules = {n: call.arguments[n] for n in numbers if callable(call.arguments[n])}
        for argument in schedules:
            if not numbers[argument].scheduled:
                raise TypeError(
                    f"{name}: {argument} takes a number or an array, since no steps are counted here. "
                    f"Schedule it with inject_hyperparams({name})."
                )
        resolved: dict[str, Schedule] = {n: f for n, f in schedules.items() if numbers[n].resolved}
        body = functools.partial(call.run, factory)
        made = scheduled(name, body, resolved) if resolved else body()
        if not isinstance(made, GradientTransformation):
            raise TypeError(f"{name}: expected a pair (init, update) from the factory, received {made!r}.")
        if not isinstance(made, GradientTransformationExtraArgs):
            made = GradientTransformationExtraArgs(*made)
        return made.remembering(call)

    make_once = functools.lru_cache(maxsize=256)(make)

    @functools.wraps(factory)
    def remembering(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        call = Call.bind(remembering, args, kwargs)
        # Equal calls share compiled rules. What holds arrays or was made during a trace is not kept.
        return make_once(call) if call.is_pure_value and not is_tracing() else make(call)

    returns = GradientTransformationExtraArgs
    remembering.__signature__ = inspect.signature(factory).replace(return_annotation=returns)  # type: ignore[attr-defined]
    remembering.__doc__ = completed(factory)
    remembering.numbers = numbers  # type: ignore[attr-defined]
    return remembering
