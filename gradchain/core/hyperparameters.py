"""What each hyperparameter may be: one table of names and ranges, read by every factory."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Range(NamedTuple):
    """A range in words, and the test of it."""

    words: str
    holds: Callable[[Any], bool]


FINITE = Range("finite", math.isfinite)
NOT_NAN = Range("a number", lambda x: not math.isnan(x))
NON_NEGATIVE = Range("finite and at least 0", lambda x: 0 <= x < math.inf)
NON_NEGATIVE_OR_INF = Range("at least 0", lambda x: x >= 0)
POSITIVE = Range("finite and more than 0", lambda x: 0 < x < math.inf)
UNIT = Range("in [0, 1)", lambda x: 0 <= x < 1)
CLOSED_UNIT = Range("in [0, 1]", lambda x: 0 <= x <= 1)

RANGES: dict[str, Range] = {
    "learning_rate": FINITE,
    "step_size": FINITE,
    "weight_decay": FINITE,
    "momentum": FINITE,
    "b1": UNIT,
    "b2": UNIT,
    "b3": UNIT,
    "rho": UNIT,
    "decay": CLOSED_UNIT,
    "eps": NON_NEGATIVE,
    "eps_root": NON_NEGATIVE,
    "epsilon": NON_NEGATIVE,
    "min_norm": NON_NEGATIVE,
    "min_scale": NON_NEGATIVE,
    "trust_coefficient": FINITE,
    "initial_accumulator_value": NON_NEGATIVE,
    "initial_scale": NON_NEGATIVE,
    "max_delta": NON_NEGATIVE_OR_INF,
    "max_norm": NON_NEGATIVE_OR_INF,
}
"""The range of each name, the same in every factory unless its decorator says otherwise."""


def check_hyperparameters(name: str, arguments: Mapping[str, Any], overrides: Mapping[str, Range]) -> None:
    """Raises ValueError for a Python number outside its range; arrays and tracers pass.

    TypeError where the argument is no number, array or function at all.
    """
    for argument, value in arguments.items():
        allowed = overrides.get(argument) or RANGES.get(argument)
        if allowed is None or value is None or callable(value):
            continue
        if isinstance(value, (bool, str, bytes, complex)) or not (
            isinstance(value, (int, float)) or hasattr(value, "dtype")
        ):
            raise TypeError(
                f"{name}: {argument} must be a number, an array or a schedule, received {value!r}."
            )
        if isinstance(value, (int, float)) and not allowed.holds(value):
            raise ValueError(f"{name}: {argument} must be {allowed.words}, received {value!r}.")
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
            raise TypeError(f"{name}: {argument} must be real, received dtype {value.dtype}.")
