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
from ._rule import Rule
from ._scheduled import scheduled
from ._values import is_pure, key_of_value, name_of
from .types import Schedule

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
        check: raises or warns, given the arguments by name, where the factory's own code would. Whatever is
            given, that code runs when the pair is first used then. It must make no arrays.
    """
    if factory is None:
        return functools.partial(transformation, deferred=deferred, check=check, **ranges)

    @functools.wraps(factory)
    def remembering(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        return maker.pair(args, kwargs)

    returns = GradientTransformationExtraArgs
    remembering.__signature__ = inspect.signature(factory).replace(return_annotation=returns)  # type: ignore[attr-defined]
    maker = _Maker(factory, remembering, deferred, check, ranges)
    remembering.__doc__ = completed(remembering)
    remembering.numbers = maker.numbers  # type: ignore[attr-defined]
    return remembering


class _Maker:
    """Makes the pairs of a factory.

    Args: factory, as it was written; public, what its pairs remember; the others of `transformation`.
    """

    def __init__(
        self,
        factory: Callable[..., Any],
        public: Callable[..., Any],
        deferred: bool,
        check: Callable[..., None] | None,
        ranges: Mapping[str, Range],
    ):
        self.factory, self.public = factory, public
        self.deferred, self.check, self.ranges = deferred, check, ranges
        self.name, self.numbers = name_of(factory), numbers_of(public)

    @functools.cached_property  # at the first call: most factories are never called
    def form(self) -> Form:
        """What the factory's calls have in common."""
        return Form(self.public)

    def pair(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> GradientTransformationExtraArgs:
        """The pair of a call, made now or when it is first used."""
        given = self.form.given(args, kwargs)
        only_numbers = NUMBERS.issuperset(map(type, given.values()))
        check_numbers(self.name, given, self.ranges)
        if not only_numbers:
            self.check_schedules(given)
        call = self.form.call(given)
        if self.check is not None:
            self.check(**call.arguments)
        elif not (self.deferred and only_numbers):
            return self.shared(call)
        return GradientTransformationExtraArgs.later(self.shared, call)

    def check_schedules(self, given: Mapping[str, Any]) -> None:
        """Raises TypeError for a schedule where no steps are counted."""
        for argument, value in given.items():
            if callable(value) and argument in self.numbers and not self.numbers[argument].scheduled:
                raise TypeError(
                    f"{self.name}: {argument} takes a number or an array, since no steps are counted here. "
                    f"Schedule it with inject_hyperparams({self.name})."
                )

    def shared(self, call: Call) -> GradientTransformationExtraArgs:
        """The pair of a call, the same for equal calls without arrays: they share compiled rules."""
        return self.made_once(call) if call.is_pure_value else self.made(call)

    @functools.cached_property
    def made_once(self) -> Callable[[Call], GradientTransformationExtraArgs]:
        """`made`, with a cache."""

        def made_once(call: Call) -> GradientTransformationExtraArgs:
            with jax.ensure_compile_time_eval():  # what is kept must hold no tracers
                return self.made(call)

        return functools.lru_cache(maxsize=256)(made_once)

    def made(self, call: Call) -> GradientTransformationExtraArgs:
        """The pair that the factory's own code makes."""
        given = {n: call.arguments[n] for n, kind in self.numbers.items() if kind.resolved}
        schedules: dict[str, Schedule] = {n: value for n, value in given.items() if callable(value)}
        body = functools.partial(call.run, self.factory)
        made = scheduled(self.name, body, schedules) if schedules else body()
        if not isinstance(made, GradientTransformation):
            raise TypeError(
                f"{self.name}: expected a pair (init, update) from the factory, received {made!r}."
            )
        if not isinstance(made, GradientTransformationExtraArgs):
            made = GradientTransformationExtraArgs(*made)
        if isinstance(made.rule, Rule) and made.rule.family is None:
            self.join_family(made.rule, call, given, body)
        return made.remembering(call)

    def join_family(
        self, rule: Rule, call: Call, given: Mapping[str, Any], body: Callable[..., Any]
    ) -> None:
        """Tells a rule which others differ from it only in numbers."""
        numbers = {n for n, value in given.items() if type(value) in (int, float) or callable(value)}
        others = {n: value for n, value in call.arguments.items() if n not in numbers}
        if all(map(is_pure, others.values())):
            family = (self.public, *((n, key_of_value(value)) for n, value in others.items()))
            constants = {n: given[n] for n in numbers if not callable(given[n])}
            rule.join(family, constants, lambda **changes: body(**changes).rule)
