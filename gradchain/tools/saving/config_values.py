"""The values in a configuration, from JSON."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import nearest
from ...schedules import inject_hyperparams
from ..makers import CLASSES, FUNCTIONS, maker


class ConfigError(ValueError):
    """What JSON cannot tell, or a configuration that is not one: its message says where and why."""


def read(value: Any, where: str) -> Any:
    """The value that some JSON tells."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [read(x, f"{where}[{i}]") for i, x in enumerate(value)]
    if type(value) is not dict:
        raise _wrong(where, f"expected JSON, found {type(value).__name__}")
    if "call" in value or "inject" in value:
        return _call(value, where)
    if len(value) != 1 or next(iter(value)) not in _TAGS:
        known = ["call", "inject", *_TAGS]
        near = nearest(next(iter(value)), known) if value and isinstance(next(iter(value)), str) else ""
        raise _wrong(where, f"expected an object with one of {', '.join(known)}, found {list(value)}", near)
    ((tag, content),) = value.items()
    try:
        return _TAGS[tag](content, f"{where}.{tag}" if where else tag)
    except ConfigError:
        raise
    except (TypeError, ValueError, KeyError) as error:
        raise _wrong(where, f"{tag!r} has a wrong content, {content!r}: {error}") from None


def _call(value: dict[str, Any], where: str) -> Any:
    """The result of a call that some JSON tells."""
    injected = "inject" in value
    known = ("inject", "static_args", "hyperparam_dtype") if injected else ("call",)
    for key in value:
        if key not in (*known, "args", "kwargs"):
            raise _wrong(where, f"a call has no {key!r}", nearest(str(key), [*known, "args", "kwargs"]))
    name, args, kwargs = value[known[0]], value.get("args", []), value.get("kwargs", {})
    here = f"{where}.{name}" if where else str(name)
    if not isinstance(name, str) or type(args) is not list or type(kwargs) is not dict:
        raise _wrong(here, "expected the name of a function, args as a list and kwargs as an object")
    try:
        factory = CLASSES.get(name) or FUNCTIONS.get(name) or maker(name)
    except LookupError as error:
        raise _wrong(here, str(error.args[0]).rstrip(".")) from None
    positional = [read(x, f"{here}.args[{i}]") for i, x in enumerate(args)]
    named = {str(k): read(x, f"{here}.{k}") for k, x in kwargs.items()}
    try:
        if injected:
            factory = inject_hyperparams(
                factory, tuple(value.get("static_args", ())), value.get("hyperparam_dtype")
            )
        return factory(*positional, **named)
    except Exception as error:  # a factory may refuse its arguments with any class of error
        raise _wrong(here, str(error).rstrip(".") or repr(error)) from error


def _items(content: Any, where: str) -> list[Any]:
    if type(content) is not list:
        raise _wrong(where, f"expected a list, found {content!r}")
    return read(content, where)


def _float(content: Any, where: str) -> float:
    if content not in ("inf", "-inf", "nan"):
        raise _wrong(where, f"expected 'inf', '-inf' or 'nan', found {content!r}")
    return float(content)


def _complex(content: Any, where: str) -> complex:
    real, imaginary = (read(x, where) for x in content)
    return complex(real, imaginary)


def _dtype(content: Any, where: str) -> np.dtype[Any]:
    found = np.dtype(content) if isinstance(content, str) else None
    if found is None or found.hasobject:
        raise _wrong(where, f"{content!r} is no dtype of arrays")
    return found


def _function(content: Any, where: str) -> Any:
    if content not in FUNCTIONS:
        raise _wrong(where, f"there is no function {content!r}", nearest(str(content), FUNCTIONS))
    return FUNCTIONS[content]


_TAGS: dict[str, Callable[[Any, str], Any]] = {
    "tuple": lambda content, where: tuple(_items(content, where)),
    "dict": lambda content, where: dict(_items(content, where)),
    "float": _float,
    "complex": _complex,
    "dtype": _dtype,
    "function": _function,
}


def _wrong(where: str, what: str, hint: str = "") -> ConfigError:
    end = "" if what.endswith("?") else "."
    return ConfigError(f"from_config: {where + ': ' if where else ''}{what}{end}{hint}")
