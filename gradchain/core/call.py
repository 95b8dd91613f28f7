"""A call that is remembered: the one fact behind repr, equality, hashing and pickling."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.core
import numpy as np

from .errors import nearest


class _ByIdentity:
    """Stands in a key for a value that is compared by identity: an array, an unhashable object."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _freeze(value: Any) -> Any:
    """A hashable stand-in for `value`, equal for equal values of equal type."""
    if isinstance(value, (float, complex)):
        return type(value), repr(value)  # tells -0.0 from 0.0, and NaN equals itself
    if isinstance(value, Mapping):
        return type(value), frozenset((_freeze(k), _freeze(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)) and not isinstance(value, Remembers):
        return type(value), tuple(_freeze(v) for v in value)
    if isinstance(value, (jax.Array, np.ndarray)):
        return _ByIdentity(value)
    try:
        hash(value)
    except TypeError:
        return _ByIdentity(value)
    return type(value), value


def _holds_identity(key: Any) -> bool:
    if isinstance(key, Remembers):
        return key.call is not None and not key.call.by_value
    if isinstance(key, (tuple, frozenset)):
        return any(_holds_identity(k) for k in key)
    return isinstance(key, _ByIdentity)


def _show(value: Any) -> str:
    """The code that makes `value`, as far as there is one."""
    if isinstance(value, np.dtype):
        return repr(value.name)
    if isinstance(value, (jax.Array, np.ndarray)) and (
        isinstance(value, jax.core.Tracer) or value.size > 1
    ):
        return f"<{value.dtype}{list(value.shape)}>"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_show(k)}: {_show(v)}" for k, v in value.items()) + "}"
    if type(value) is list:
        return "[" + ", ".join(map(_show, value)) + "]"
    if type(value) is tuple:
        return "(" + ", ".join(map(_show, value)) + ("," if len(value) == 1 else "") + ")"
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__
    return repr(value)


def _plain(name: str, value: Any) -> Any:
    """NumPy scalars become Python's and whatever names a dtype becomes `np.dtype`."""
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        return value.item() if value.dtype.kind in "biuf" else value
    if value is not None and "dtype" in name:
        return np.dtype(value)
    return value


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A factory and the arguments it was called with, defaults included.

    Two calls are equal when the factory is the same object and the arguments are equal in value
    and type; arrays and unhashable objects count as equal only when they are the same object.
    """

    factory: Callable[..., Any]
    arguments: dict[str, Any]

    @classmethod
    def bind(cls, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Call":
        """Binds arguments as Python does (TypeError where Python raises it)."""
        try:
            bound = signature(factory).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{factory.__name__}: {error}.") from None
        bound.apply_defaults()
        return cls(factory, {name: _plain(name, v) for name, v in bound.arguments.items()})

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """What equality and hash compare."""
        return self.factory, _freeze(self.arguments)

    @functools.cached_property
    def by_value(self) -> bool:
        """Whether every argument is compared by value, so that equal calls may share a result."""
        return not _holds_identity(self.key[1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def run(self) -> Any:
        """Calls the factory with the arguments."""
        bound = inspect.BoundArguments(signature(self.factory), self.arguments)  # type: ignore[arg-type]
        return self.factory(*bound.args, **bound.kwargs)

    def __repr__(self) -> str:
        """The call as code, without the arguments that have their default value."""
        shown: list[str] = []
        for name, parameter in signature(self.factory).parameters.items():
            value = self.arguments[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                shown.extend(map(_show, value))
            elif parameter.kind is parameter.VAR_KEYWORD:
                shown.extend(f"{k}={_show(v)}" for k, v in value.items())
            elif _freeze(value) != _freeze(_plain(name, parameter.default)):
                positional = parameter.kind is parameter.POSITIONAL_ONLY
                shown.append(_show(value) if positional else f"{name}={_show(value)}")
        return f"{self.factory.__name__}({', '.join(shown)})"


@functools.cache
def signature(factory: Callable[..., Any]) -> inspect.Signature:
    """`inspect.signature`, computed once per factory."""
    return inspect.signature(factory)


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
        """The arguments it was made with by name, defaults included."""
        return dict(self.call.arguments) if self.call else {}

    def replace(self, **changes: Any) -> Any:
        """The same call with some arguments changed: `adam(1e-3).replace(b1=0.8)`."""
        if self.call is None:
            raise TypeError(f"{self!r} does not remember the call that made it: make it anew.")
        name, known = self.call.factory.__name__, self.call.arguments
        for change in changes:
            if change not in known:
                raise TypeError(
                    f"{name}: has no argument {change!r}; it has {', '.join(known)}."
                    + nearest(change, known)
                )
        return Call(self.call.factory, known | changes).run()

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
