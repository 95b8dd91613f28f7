"""A call that is remembered: the one fact behind repr, equality, hashing and pickling."""

import copy
import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from ._errors import nearest


def name_of(factory: Any) -> str:
    """What to call a factory: a function, a partial, a bound method or a callable object."""
    if isinstance(factory, functools.partial):
        return name_of(factory.func)
    return getattr(factory, "__name__", type(factory).__name__)


def signature(factory: Callable[..., Any]) -> inspect.Signature:
    """The signature of a factory, which `@transformation` and `@schedule` have computed once."""
    known = getattr(factory, "__signature__", None)
    return known if isinstance(known, inspect.Signature) else inspect.signature(factory)


def frozen(value: Any) -> Any:
    """A copy of `value` that does not change when the user changes a dict, list or array in it."""
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.flags.writeable = False
        return value
    if isinstance(value, dict):
        copied = copy.copy(value)  # keeps the class: an OrderedDict, a defaultdict
        copied.update((k, frozen(v)) for k, v in value.items())
        return copied
    if type(value) is list:
        return [frozen(x) for x in value]
    if isinstance(value, tuple) and not isinstance(value, Remembers):
        content = [frozen(x) for x in value]
        if all(new is old for new, old in zip(content, value, strict=True)):
            return value
        return value._make(content) if hasattr(value, "_make") else tuple(content)  # type: ignore[attr-defined]
    if isinstance(value, Mapping) and not jax.tree_util.all_leaves([value]):
        return jax.tree.map(lambda leaf: leaf, value)  # another library's mutable tree
    return value


def _plain(name: str, value: Any) -> Any:
    """A scalar array becomes a Python number; whatever names a dtype becomes `np.dtype`."""
    if value is not None and (name == "dtype" or name.endswith("_dtype") or name.startswith("dtype_")):
        return np.dtype(value)
    if not isinstance(value, (np.generic, np.ndarray, jax.Array)) or isinstance(value, Tracer):
        return value
    if np.ndim(value) or not isinstance(value.dtype, np.dtype):
        return value
    readable = not isinstance(value, jax.Array) or value.is_fully_addressable
    if value.dtype.kind in "biuf" and readable:
        return value.item()
    is_low_precision = jax.numpy.issubdtype(value.dtype, jax.numpy.floating)
    return float(value) if is_low_precision and readable else value


class _ByIdentity:
    """Stands in a key for a value that is compared by identity: an array, an unhashable object."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def key_of_value(value: Any) -> Any:
    """A hashable stand-in for `value`, equal for equal values of equal type."""
    if isinstance(value, (float, complex)):
        return type(value), repr(value)  # tells -0.0 from 0.0, and NaN equals itself
    if isinstance(value, Mapping):
        return type(value), frozenset((key_of_value(k), key_of_value(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)) and not isinstance(value, Remembers):
        return type(value), tuple(map(key_of_value, value))
    if isinstance(value, np.ndarray):
        return np.ndarray, value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, functools.partial):
        return (
            functools.partial,
            key_of_value(value.func),
            key_of_value(value.args),
            key_of_value(value.keywords),
        )
    try:
        hash(value)
    except TypeError:
        return _ByIdentity(value)
    return type(value), value


def _is_pure_value(value: Any) -> bool:
    """Whether `value` holds no array, and nothing that could hold one, such as a closure."""
    if isinstance(value, Remembers):
        return value.call is not None and value.call.is_pure_value
    if isinstance(value, Mapping):
        return all(_is_pure_value(x) for item in value.items() for x in item)
    if isinstance(value, (list, tuple)):
        return all(map(_is_pure_value, value))
    if isinstance(value, types.FunctionType):
        return value.__closure__ is None and not value.__defaults__ and not value.__kwdefaults__
    return value is None or isinstance(value, (bool, int, float, complex, str, np.dtype, type))


def code_of(value: Any) -> str:
    """The code that makes `value`, as far as there is one."""
    if isinstance(value, np.dtype):
        return repr(value.name)
    if isinstance(value, (jax.Array, np.ndarray)) and (isinstance(value, Tracer) or value.size > 1):
        return f"<{value.dtype}{list(value.shape)}>"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{code_of(k)}: {code_of(v)}" for k, v in value.items()) + "}"
    if type(value) is list:
        return "[" + ", ".join(map(code_of, value)) + "]"
    if type(value) is tuple:
        return "(" + ", ".join(map(code_of, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, functools.partial):
        given = [*map(code_of, value.args), *(f"{k}={code_of(v)}" for k, v in value.keywords.items())]
        return f"functools.partial({', '.join([code_of(value.func), *given])})"
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__
    return repr(value)


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
        arguments = {name: frozen(_plain(name, v)) for name, v in bound.arguments.items()}
        return cls(factory, _one_decay_mask(name_of(factory), arguments))

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """What equality and hash compare."""
        return self.factory, key_of_value(self.arguments)

    @functools.cached_property
    def is_pure_value(self) -> bool:
        """Whether the arguments hold no arrays: then equal calls may share their result."""
        return all(map(_is_pure_value, self.arguments.values()))

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
            elif key_of_value(value) != key_of_value(_plain(name, parameter.default)):
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
