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
    p = {"w": p["w"]} if case.any_tree else p  # one leaf compiles faster, and a scan too
    many = jax.tree.map(lambda *g: jnp.stack(g), *[gradients(p, t) for t in range(3)])

    def step(carry: Any, g: Any) -> Any:
        p, state = carry
        updates, state = tx.update(g, state, p, **case.more(p, 0))
        return (gc.apply_updates(p, updates), state), updates

    (p, _), updates = jax.lax.scan(step, (p, tx.init(p)), many)
    leaves = [jnp.ravel(x).astype(dtype) for x in jax.tree.leaves((p, updates))]
    return sum(jnp.sum(jnp.cos(x + 1)) for x in leaves)


def with_derivatives(case: Case, values: dict[str, float], dtype: str) -> Any:
    """A function of some of the numbers: the outcome, and its derivative by every number.

    Forwards, since line searches are loops. One program for both.
    """

    @jax.jit
    def program(numbers: dict[str, Any]) -> Any:
        basis = dict(zip(numbers, jnp.eye(len(numbers), dtype=dtype), strict=True))

        def along(tangent: Any) -> Any:
            return jax.jvp(lambda numbers: outcome(case, numbers, dtype), (numbers,), (tangent,))

        value, slopes = jax.vmap(along, out_axes=(None, 0))(basis)
        return value, dict(zip(numbers, slopes, strict=True))

    def run(**changes: float) -> tuple[float, dict[str, float]]:
        with enable_x64() if dtype == "float64" else nullcontext(), jax.numpy_dtype_promotion("standard"):
            value, slopes = program({k: jnp.asarray(v, dtype) for k, v in (values | changes).items()})
        return float(value), {k: float(v) for k, v in slopes.items()}

    return run


@pytest.mark.parametrize("case", **ids(SMOOTH))
def test_derivatives_by_every_number_are_those_of_differences(case: Case) -> None:
    values = {k: v for k, v in case.numbers.items() if np.isfinite(v)}
    double = with_derivatives(case, values, "float64")
    (_, slopes), (_, single) = double(), with_derivatives(case, values, "float32")()
    # Extra arguments, schedules and the dtypes that rows ask for are float32.
    digits = 1e-7 if case.extra or any(callable(x) or x == "float32" for x in case.call.values()) else 1e-14
    for name, value in values.items():
        if name in case.kinks:
            continue
        h = 1e-3 * min(abs(value), abs(1 - value) or 1) or 1e-8  # a decay stays below 1
        (ahead, _), (behind, _) = (double(**{name: value + d}) for d in (h, -h))
        expected = (ahead - behind) / (2 * h)
        close = 3e-3 * (abs(expected) + 1e-6) + digits * abs(ahead) / h
        assert abs(slopes[name] - expected) <= close, f"{name}: {slopes[name]}, {expected}"
        if not case.random:
            # What float32 leaves of 1 - decay
            lost = 1e-6 / (1 - value) ** 2 if 0 < value < 1 else 0
            close = 0.1 * (abs(slopes[name]) + 1e-3) + lost
            assert abs(single[name] - slopes[name]) <= close, f"{name}: {single[name]}, {slopes[name]}"
