"""A transformation as JSON, and back: nothing is evaluated."""

import inspect
import math
from collections import OrderedDict
from typing import Any

import numpy as np

from ...core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    as_plain,
    code_of,
    key_of_value,
    name_of,
    signature,
)
from ..makers import CLASSES, FUNCTIONS, maker
from .config_values import ConfigError, read

SCHEMA = 1
"""The version of the form. It rises when older versions could not read a configuration any more."""


def to_config(tx: GradientTransformation) -> dict[str, Any]:
    """A transformation as data for JSON: the calls that made it, with what differs from the defaults.

        to_config(chain(clip(1.0), adam(1e-3)))
        # {"schema": 1, "call": "chain", "args": [{"call": "clip", "kwargs": {"max_delta": 1.0}}, ...]}

    JSON has numbers, texts, lists and None of its own; what it lacks is an object with one key:
    `{"tuple": [..]}`, `{"dict": [[key, value], ..]}`, `{"float": "inf"}`, `{"complex": [1.0, 2.0]}`,
    `{"dtype": "bfloat16"}`, `{"function": "decay_matrices_only"}`. A call of `inject_hyperparams(adam)` has
    "inject" in place of "call".

    Returns: a dict for `json.dumps`; `from_config(to_config(tx)) == tx`.
    Raises: ConfigError, which names the argument, for a lambda, an array, a pair of another library.
    """
    if not isinstance(tx, GradientTransformationExtraArgs) or tx.call is None:
        raise ConfigError(
            f"to_config: {tx!r} does not remember a call of gradchain: there is nothing to tell."
        )
    return {"schema": SCHEMA, **_told(tx, name_of(tx.factory))}


def from_config(config: dict[str, Any]) -> GradientTransformationExtraArgs:
    """The transformation that `to_config` told. Only public functions that make one are called.

    Args: config, the dict; of a text, `json.loads(text)`.
    Raises: ConfigError, which says where: for an unknown name (with the nearest), for arguments that a
        function refuses (with its words), for what is no configuration, for a newer schema.

    Example:
        >>> tx = gc.chain(gc.clip(1.0), gc.sgd(0.5))
        >>> gc.from_config(gc.to_config(tx)) == tx
        True
    """
    if not isinstance(config, dict):
        hint = " Give json.loads(text)." if isinstance(config, (str, bytes)) else ""
        raise ConfigError(f"from_config: expected a dict, received {type(config).__name__}.{hint}")
    schema = config.get("schema")
    if type(schema) is not int:
        raise ConfigError("from_config: the configuration has no schema: it was not made by to_config.")
    if schema > SCHEMA:
        raise ConfigError(
            f"from_config: the configuration has schema {schema}; this version reads schemas up to "
            f"{SCHEMA}. Install a newer gradchain."
        )
    try:
        made = read({k: v for k, v in config.items() if k != "schema"}, "")
    except RecursionError:
        raise ConfigError("from_config: the configuration is nested too deeply to be read.") from None
    if not isinstance(made, GradientTransformationExtraArgs):
        raise ConfigError(f"from_config: expected a transformation, found {made!r}.")
    return made


def _told(value: Any, where: str) -> Any:
    """A value in terms of JSON."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) is complex:
        return {"complex": [_told(value.real, where), _told(value.imag, where)]}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if type(value) is list:
        return [_told(x, f"{where}[{i}]") for i, x in enumerate(value)]
    if type(value) is tuple:
        return {"tuple": [_told(x, f"{where}[{i}]") for i, x in enumerate(value)]}
    if type(value) in (dict, OrderedDict):
        items = [[_told(k, where), _told(x, f"{where}[{k!r}]")] for k, x in value.items()]
        return {"dict": items}
    for name, kind in CLASSES.items():
        if type(value) is kind:
            return {
                "call": name,
                "kwargs": {k: _told(v, f"{where}.{k}") for k, v in value._asdict().items()},
            }
    for name, function in FUNCTIONS.items():
        if value is function:
            return {"function": name}
    if getattr(value, "call", None) is not None and hasattr(value, "factory"):
        return _told_call(value, where)
    raise ConfigError(
        f"to_config: {where} is {code_of(value)} ({type(value).__name__}), which JSON cannot tell. Give "
        "numbers, texts, tuples, dicts, or calls of gradchain's transformations and schedules."
    )


def _told_call(value: Any, where: str) -> dict[str, Any]:
    """A remembered call in terms of JSON."""
    factory, arguments = value.factory, value.call.arguments
    inner = getattr(factory, "inner_factory", factory)
    name = name_of(inner)
    try:
        public = FUNCTIONS.get(name) or maker(name)
    except LookupError:
        public = None
    if inner is not public:
        raise ConfigError(
            f"to_config: {where} is made by {name}, which is no function of gradchain's: JSON cannot tell "
            "it."
        )
    told: dict[str, Any] = {"call": name}
    if inner is not factory:
        told = {"inject": name}
        told |= {"static_args": sorted(factory.static)} if factory.static else {}
        told |= {"hyperparam_dtype": np.dtype(factory.dtype).name} if factory.dtype is not None else {}
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument, parameter in signature(factory).parameters.items():
        given = arguments[argument]
        if parameter.kind is parameter.VAR_POSITIONAL:
            args = [_told(x, f"{where}.{argument}[{i}]") for i, x in enumerate(given)]
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs |= {k: _told(x, f"{where}.{k}") for k, x in given.items()}
        elif not _is_default(parameter, given):
            kwargs[argument] = _told(given, f"{where}.{argument}")
    return told | ({"args": args} if args else {}) | ({"kwargs": kwargs} if kwargs else {})


def _is_default(parameter: inspect.Parameter, value: Any) -> bool:
    if parameter.default is parameter.empty:
        return False
    return key_of_value(value) == key_of_value(as_plain(parameter.name, parameter.default))
