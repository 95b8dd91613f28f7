"""The values of arguments: copied when they are bound, compared, and shown as code."""

import copy
import functools
import inspect
import operator
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer


def name_of(factory: Any) -> str:
    """What to call a factory: a function, a partial, a bound method or a callable object."""
    if isinstance(factory, functools.partial):
        return name_of(factory.func)
    return getattr(factory, "__name__", type(factory).__name__)


def signature(factory: Callable[..., Any]) -> inspect.Signature:
    """The signature of a factory, which `@transformation` and `@schedule` have computed once."""
    known = getattr(factory, "__signature__", None)
    return known if isinstance(known, inspect.Signature) else inspect.signature(factory)


def remembers(value: Any) -> bool:
    """Whether `value` is of a class that knows the call that made it: see `Remembers`."""
    return hasattr(type(value), "call") and hasattr(type(value), "arguments")


ATOMS = frozenset([bool, int, float, complex, str, type(None)])
"""The types of most arguments: they hold nothing."""


def frozen(value: Any) -> Any:
    """A copy of `value` that does not change when the user changes a dict, list or array in it."""
    if type(value) in ATOMS or remembers(value):
        return value
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
    if isinstance(value, tuple):
        content = [frozen(x) for x in value]
        if all(map(operator.is_, content, value)):
            return value
        return value._make(content) if hasattr(value, "_make") else tuple(content)  # type: ignore[attr-defined]
    if isinstance(value, Mapping) and not jax.tree_util.all_leaves([value]):
        return jax.tree.map(lambda leaf: leaf, value)  # another library's mutable tree
    return value


def names_dtype(name: str) -> bool:
    """Whether an argument of this name takes a dtype."""
    return name == "dtype" or name.endswith("_dtype") or name.startswith("dtype_")


def as_plain(name: str, value: Any) -> Any:
    """A scalar array becomes a Python number; what names a dtype, `np.dtype`; rules keep their order."""
    if name == "rules" and isinstance(value, Mapping):
        return OrderedDict(value)
    if value is not None and names_dtype(name):
        return np.dtype(value)
    if not hasattr(value, "dtype") or isinstance(value, Tracer):
        return value
    if not isinstance(value, (np.generic, np.ndarray, jax.Array)):
        return value
    if np.ndim(value) or not isinstance(value.dtype, np.dtype):
        return value
    readable = not isinstance(value, jax.Array) or value.is_fully_addressable
    if value.dtype == np.float32 and readable:
        # A float32 nearest to a short decimal stands for it, as in `numerics.one_minus`.
        text = str(np.float32(value))
        return float(text) if sum(map(str.isdigit, text.lstrip("-0."))) <= 7 else value.item()
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
    if type(value) in ATOMS and type(value) not in (float, complex):
        return type(value), value
    if isinstance(value, (float, complex)):
        return type(value), repr(value)  # tells -0.0 from 0.0, and NaN equals itself
    if remembers(value) and value.call is not None:
        return type(value), value
    if isinstance(value, OrderedDict):
        return OrderedDict, tuple((key_of_value(k), key_of_value(v)) for k, v in value.items())
    if isinstance(value, Mapping):
        return type(value), frozenset((key_of_value(k), key_of_value(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)) and not remembers(value):
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


def is_pure(value: Any) -> bool:
    """Whether `value` holds no array, and nothing that could hold one, such as a closure."""
    if type(value) in ATOMS:
        return True
    if remembers(value):
        return value.call is not None and value.call.is_pure_value
    if isinstance(value, Mapping):
        return all(is_pure(x) for item in value.items() for x in item)
    if isinstance(value, (list, tuple)):
        return all(map(is_pure, value))
    if isinstance(value, types.FunctionType):
        return value.__closure__ is None and not value.__defaults__ and not value.__kwdefaults__
    return isinstance(value, (np.dtype, type))


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
