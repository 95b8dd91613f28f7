"""A call that is remembered: the one fact behind repr, equality, hashing and pickling."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, Self

from ._errors import nearest
from ._values import (
    ATOMS,
    as_plain,
    code_of,
    frozen,
    is_pure,
    key_of_value,
    name_of,
    names_dtype,
    signature,
)


class Form:
    """What the calls of a factory have in common: read from its signature once, not at every call."""

    def __init__(self, factory: Callable[..., Any]):
        self.factory, self.name, self.signature = factory, name_of(factory), signature(factory)
        parameters = self.signature.parameters.values()
        self.defaults = {p.name: frozen(as_plain(p.name, _default(p))) for p in parameters}
        self.required = {
            p.name
            for p in parameters
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        self.positional = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]
        self.keywords = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        self.dtypes = {p.name for p in parameters if names_dtype(p.name)}
        self.rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self.most = len(self.positional) if self.rest is None else math.inf

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, without the defaults: frozen.

        Raises: TypeError where Python raises it.
        """
        given = dict(zip(self.positional, args, strict=False)) | kwargs
        if self.rest is not None:
            given[self.rest] = args[len(self.positional) :]
        fits = self.required.issubset(given) and len(args) <= self.most
        if kwargs and fits:
            twice = not kwargs.keys().isdisjoint(self.positional[: len(args)])
            fits = self.keywords.issuperset(kwargs) and not twice
        if not fits:  # a call with `**kwargs`, or a wrong one: Python has the words
            try:
                given = self.signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise TypeError(f"{self.name}: {error}.") from None
        for name, value in given.items():
            if type(value) not in ATOMS or name in self.dtypes:
                given[name] = frozen(as_plain(name, value))
        return given

    def call(self, given: dict[str, Any]) -> "Call":
        """The call with these arguments and the defaults of the others.

        Raises: ValueError where one argument is given under both of its names.
        """
        arguments = self.defaults | given
        if given.get("weight_decay_mask") is not None and "mask" in arguments:  # two names of one argument
            if arguments["mask"] is not None:
                raise ValueError(
                    f"{self.name}: mask and weight_decay_mask are two names of one argument: give one."
                )
            arguments |= {"mask": arguments["weight_decay_mask"], "weight_decay_mask": None}
        return Call(self.factory, arguments)


class Call:
    """A factory and the arguments it was called with, defaults included. It never changes.

    Two calls are equal when the factory is the same object and the arguments are equal in value
    and type; JAX arrays and unhashable objects are equal only to themselves.
    """

    def __init__(self, factory: Callable[..., Any], arguments: dict[str, Any]):
        self.factory = factory
        self.arguments = arguments

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """What equality and hash compare."""
        return self.factory, *map(key_of_value, self.arguments.values())

    @functools.cached_property
    def is_pure_value(self) -> bool:
        """Whether the arguments hold no arrays: then equal calls may share their result."""
        values = self.arguments.values()
        return ATOMS.issuperset(map(type, values)) or all(map(is_pure, values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def run(self, function: Callable[..., Any] | None = None, **changes: Any) -> Any:
        """Calls the factory, or a function of the same signature, with some arguments changed."""
        bound = inspect.BoundArguments(signature(self.factory), self.arguments | changes)  # type: ignore[arg-type]
        return (function or self.factory)(*bound.args, **bound.kwargs)

    def __repr__(self) -> str:
        """The call as code, without the arguments that have their default value."""
        shown: list[str] = []
        for name, parameter in signature(self.factory).parameters.items():
            value = self.arguments[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                shown.extend(map(code_of, value))
            elif parameter.kind is parameter.VAR_KEYWORD:
                shown.extend(f"{k}={code_of(v)}" for k, v in value.items())
            elif key_of_value(value) != key_of_value(as_plain(name, parameter.default)):
                positional = parameter.kind is parameter.POSITIONAL_ONLY
                shown.append(code_of(value) if positional else f"{name}={code_of(value)}")
        return f"{name_of(self.factory)}({', '.join(shown)})"


def _default(parameter: inspect.Parameter) -> Any:
    """What an argument is where a call does not give it; None where it must."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return ()
    if parameter.kind is parameter.VAR_KEYWORD:
        return {}
    return None if parameter.default is parameter.empty else parameter.default


def recall(factory: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Makes a remembered object again (what pickle and deepcopy call)."""
    return Call(factory, arguments).run()


class Remembers:
    """What an object gains from knowing the call that made it.

    `repr` is the code of the call, equality and hash go by its value, and pickling and copying
    repeat it. An object made without a remembered call behaves as its other base class says.
    """

    call: Call | None = None

    @property
    def factory(self) -> Callable[..., Any] | None:
        """The public function that made this, or None."""
        return self.call and self.call.factory

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments it was made with by name, defaults included: a copy."""
        return frozen(self.call.arguments) if self.call else {}

    def replace(self, **changes: Any) -> Self:
        """The same call with some arguments changed: `adam(1e-3).replace(b1=0.8)`.

        An argument of a part goes by its dotted name, or by its plain one if no other part has it:
        `tx.replace(**{"adamw.learning_rate": 1e-4})`. The links of a chain are its `args`:
        `tx.replace(args=tx.links[:-1])`.
        """
        if self.call is None:
            raise TypeError(f"{self!r} does not remember the call that made it: make it anew.")
        name, known = name_of(self.call.factory), self.call.arguments
        others = {change: value for change, value in changes.items() if change not in known}
        if not others:
            return self.call.run(**changes)
        from ._anatomy import is_composite, replaced  # here, since it knows chains

        for change in others:
            if "." not in change and not is_composite(self):
                raise TypeError(
                    f"{name}: has no argument {change!r}; it has {', '.join(known)}."
                    + nearest(change, known)
                )
        own = {change: value for change, value in changes.items() if change in known}
        return replaced(self.replace(**own) if own else self, others, name)

    def __replace__(self, **changes: Any) -> Self:
        return self.replace(**changes)  # what copy.replace calls, from Python 3.13 on

    def __repr__(self) -> str:
        return repr(self.call) if self.call else super().__repr__()

    def __eq__(self, other: object) -> bool:
        if self.call is None:
            return super().__eq__(other)
        return isinstance(other, type(self)) and self.call == other.call

    def __ne__(self, other: object) -> bool:  # tuple brings its own, which JAX's caches would use
        return not self == other

    def __hash__(self) -> int:
        return hash(self.call) if self.call else super().__hash__()

    def __reduce__(self) -> Any:
        if self.call is None:
            return super().__reduce__()
        return recall, (self.call.factory, self.call.arguments)
