"""Law: gradients through an optimizer by its numbers are those of finite differences."""

from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, Case, ids
from trees import enable_x64, gradients, params

import gradchain as gc

SMOOTH = [case for case in CASES if case.numbers and not case.constant]


def outcome(case: Case, numbers: dict[str, Any], dtype: str) -> Any:
    """A number that depends on every parameter after three steps."""
    tx, p = case.make(**numbers), params(dtype)
    p = {"w": p["w"]} if case.any_tree else p  # one leaf compiles faster
    state = tx.init(p)
    for step in range(3):
        extra = case.extra(p, step) if case.extra else {}
        updates, state = tx.update(gradients(p, step), state, p, **extra)
        p = gc.apply_updates(p, updates)
    leaves = [jnp.ravel(x).astype(dtype) for x in jax.tree.leaves((p, updates))]
    return sum(jnp.sum(jnp.cos(x + 1)) for x in leaves)


def derivatives(case: Case, dtype: str, values: dict[str, float]) -> dict[str, float]:
    """The derivative by each number, forwards: line searches are loops."""
    with enable_x64() if dtype == "float64" else nullcontext(), jax.numpy_dtype_promotion("standard"):
        given = {k: jnp.asarray(v, dtype) for k, v in values.items()}
        found = jax.jit(jax.jacfwd(lambda numbers: outcome(case, numbers, dtype)))(given)
        return {k: float(v) for k, v in found.items()}


def differences(case: Case, values: dict[str, float]) -> dict[str, tuple[float, float]]:
    """The central difference by each number, in float64, and what rounding may make of it."""
    # Extra arguments, schedules and the dtypes that rows ask for are float32.
    digits = 1e-7 if case.extra or any(callable(x) or x == "float32" for x in case.call.values()) else 1e-14
    with enable_x64():
        f = jax.jit(lambda numbers: outcome(case, numbers, "float64"))
        found = {}
        for name, value in values.items():
            h = 1e-3 * min(abs(value), abs(1 - value) or 1) or 1e-8  # a decay stays below 1
            ahead, behind = (
                float(f({k: jnp.asarray(v) for k, v in (values | {name: value + d}).items()}))
                for d in (h, -h)
            )
            found[name] = (ahead - behind) / (2 * h), digits * abs(ahead) / h
        return found


@pytest.mark.parametrize("case", **ids(SMOOTH))
def test_derivatives_by_every_number_are_those_of_differences(case: Case) -> None:
    values = {k: v for k, v in case.numbers.items() if np.isfinite(v)}
    double, single = derivatives(case, "float64", values), derivatives(case, "float32", values)
    for name, (expected, rounding) in differences(case, values).items():
        if name in case.kinks:
            continue
        close = 3e-3 * (abs(expected) + 1e-6) + rounding
        assert abs(double[name] - expected) <= close, f"{name}: {double[name]}, {expected}"
        if not case.random:
            # What float32 leaves of 1 - decay
            lost = 1e-6 / (1 - values[name]) ** 2 if 0 < values[name] < 1 else 0
            close = 0.1 * (abs(double[name]) + 1e-3) + lost
            assert abs(single[name] - double[name]) <= close, f"{name}: {single[name]}, {double[name]}"
