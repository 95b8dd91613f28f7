"""A call that is remembered: the one fact behind repr, equality, hashing and pickling."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

from ._errors import nearest
from ._values import as_plain, code_of, frozen, is_pure, key_of_value, name_of, signature


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A factory and the arguments it was called with, defaults included.

    Two calls are equal when the factory is the same object and the arguments are equal in value
    and type; JAX arrays and unhashable objects are equal only to themselves.
    """

    factory: Callable[..., Any]
    arguments: dict[str, Any]

    @classmethod
    def bind(cls, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Call":
        """Binds arguments as Python does (TypeError where Python raises it) and freezes them.

        Raises: ValueError where one argument is given under both of its names.
        """
        try:
            bound = signature(factory).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name_of(factory)}: {error}.") from None
        bound.apply_defaults()
        arguments = {name: frozen(as_plain(name, v)) for name, v in bound.arguments.items()}
        return cls(factory, _one_decay_mask(name_of(factory), arguments))

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """What equality and hash compare."""
        return self.factory, key_of_value(self.arguments)

    @functools.cached_property
    def is_pure_value(self) -> bool:
        """Whether the arguments hold no arrays: then equal calls may share their result."""
        return all(map(is_pure, self.arguments.values()))

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


def _one_decay_mask(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the decay mask under `mask`, where a factory takes it under two names."""
    if arguments.get("weight_decay_mask") is None or "mask" not in arguments:
        return arguments
    if arguments["mask"] is not None:
        raise ValueError(f"{name}: mask and weight_decay_mask are two names of one argument: give one.")
    return arguments | {"mask": arguments["weight_decay_mask"], "weight_decay_mask": None}


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

    def replace(self, **changes: Any) -> Any:
        """The same call with some arguments changed: `adam(1e-3).replace(b1=0.8)`.

        The links of a chain are its `args`: `tx.replace(args=tx.links[:-1])`.
        """
        if self.call is None:
            raise TypeError(f"{self!r} does not remember the call that made it: make it anew.")
        name, known = name_of(self.call.factory), self.call.arguments
        for change in changes:
            if change not in known:
                raise TypeError(
                    f"{name}: has no argument {change!r}; it has {', '.join(known)}."
                    + nearest(change, known)
                )
        return self.call.run(**changes)

    def __replace__(self, **changes: Any) -> Any:
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
