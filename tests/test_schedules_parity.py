"""Every schedule Optax has gives Optax's numbers, however the count comes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gradchain import schedules

LAST = 2**31 - 2
WARM = {"init_value": 0.01, "peak_value": 0.3, "warmup_steps": 5, "decay_steps": 25, "end_value": 0.02}

# name of the schedule, its arguments, its boundaries
ROWS = [
    ("constant_schedule", (0.1,), {}, ()),
    ("constant_schedule", (3,), {}, ()),
    ("linear_schedule", (0.3, 0.01, 10), {}, (10,)),
    ("linear_schedule", (0.0, 1.0, 7, 3), {}, (3, 10)),
    ("linear_schedule", (1.0, 0.0, 1), {}, (1,)),
    ("linear_schedule", (0.5, 0.0, 0), {}, ()),
    ("linear_schedule", (0.5, 0.1, -3), {}, ()),
    ("linear_schedule", (0.5, 0.1, 6, -3), {}, (6,)),
    ("polynomial_schedule", (0.3, 0.01, 2, 10), {}, (10,)),
    ("polynomial_schedule", (0.01, 0.3, 0.5, 10, 4), {}, (4, 14)),
    ("polynomial_schedule", (1.0, 0.0, 1.7, 12.5), {}, (12, 13)),
    ("polynomial_schedule", (1.0, 0.5, 0, 12), {}, (12,)),
    ("exponential_decay", (0.2, 10, 0.5), {}, (10,)),
    ("exponential_decay", (0.2, 10, 0.5, 5, True), {}, (5, 15, 25)),
    ("exponential_decay", (0.2, 10, 0.5, 5, False, 0.03), {}, (5, 30)),
    ("exponential_decay", (0.2, 10, 1.5, 5, True, 0.9), {}, (5, 30)),
    ("exponential_decay", (0.2, 0, 0.5), {}, ()),
    ("exponential_decay", (0.2, 5, 0.0), {}, ()),
    ("exponential_decay", (0.2, 4.5, 0.9, -2, True), {}, (9,)),
    ("cosine_decay_schedule", (0.3, 20), {}, (10, 20)),
    ("cosine_decay_schedule", (0.3, 21, 0.1, 2.0), {}, (21,)),
    ("cosine_decay_schedule", (0.3, 20.5, 0.1, 0.7), {}, (20, 21)),
    ("piecewise_constant_schedule", (0.3,), {}, ()),
    ("piecewise_constant_schedule", (0.3, {12: 0.5, 5: 0.1}), {}, (5, 12)),
    ("piecewise_constant_schedule", (0.3, {5: 0.0, 12: 3.0}), {}, (5, 12)),
    ("piecewise_constant_schedule", (2, {2.5: 0.5}), {}, (2, 3)),
    ("piecewise_interpolate_schedule", ("linear", 0.3), {}, ()),
    ("piecewise_interpolate_schedule", ("linear", 0.3, {12: 0.5, 5: 2.0}), {}, (5, 12)),
    ("piecewise_interpolate_schedule", ("cosine", 0.3, {5: 2.0, 12: 0.5}), {}, (5, 12)),
    ("piecewise_interpolate_schedule", ("cosine", 0.3, {0: 2.0, 12: 0.5}), {}, (12,)),
    ("linear_onecycle_schedule", (100, 0.3), {}, (30, 85, 100)),
    ("linear_onecycle_schedule", (50, 0.3, 0.2, 0.6, 5.0, 10.0), {}, (10, 30, 50)),
    ("cosine_onecycle_schedule", (100, 0.3), {}, (30, 100)),
    ("cosine_onecycle_schedule", (50, 0.3, 0.2, 5.0, 10.0), {}, (10, 50)),
    ("warmup_constant_schedule", (0.01, 0.3, 10), {}, (10,)),
    ("warmup_cosine_decay_schedule", (), WARM, (5, 25)),
    ("warmup_cosine_decay_schedule", (), WARM | {"warmup_steps": 0, "exponent": 1.5}, (25,)),
    ("warmup_cosine_decay_schedule", (), WARM | {"peak_value": 0}, (5, 25)),
    ("warmup_exponential_decay_schedule", (0.0, 0.3, 5, 10, 0.5), {}, (5, 15)),
    ("warmup_exponential_decay_schedule", (0.0, 0.3, 5, 10, 0.5, 2, True, 0.1), {}, (5, 7, 17, 27)),
    ("sgdr_schedule", ([WARM, WARM | {"peak_value": 0.2}, WARM],), {}, (5, 25, 30, 50, 55, 75)),
]


def counts_for(boundaries):
    near = {b + d for b in boundaries for d in (-1, 0, 1)}
    counts = sorted({0, 1, 2, 1000, 10**6, LAST} | near)
    return counts + [LAST] * (24 - len(counts))  # of one length, so that JAX compiles less


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{len(row[1])}-{row[3]}")
def test_the_numbers_are_those_of_optax(row):
    name, args, kwargs, boundaries = row
    ours = getattr(schedules, name)(*args, **kwargs)
    theirs = getattr(optax, name)(*args, **kwargs)
    counts = counts_for(boundaries)
    array = jnp.array(counts, jnp.int32)
    with jax.numpy_dtype_promotion("standard"):
        expected = np.array(jax.vmap(theirs)(array), np.float64)
    close = functools.partial(
        np.testing.assert_allclose, desired=expected, rtol=1e-6, atol=2e-7 * abs(expected).max()
    )
    close(ours(array))
    close(jax.jit(ours)(array))
    close(jax.vmap(ours)(array))
    close([ours(c) for c in dict.fromkeys(counts)] + [expected[-1]] * (24 - len(set(counts))))
    as_floats = np.asarray(ours(array.astype(jnp.float32)))
    close(np.where(np.array(counts) < 2**24, as_floats, expected))


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_join_gives_the_numbers_of_optax(shape):
    def build(lib):
        first = lib.linear_schedule(0.0, 1.0, 10)
        second = lib.piecewise_interpolate_schedule(shape, 1.0, {10: 0.5})
        return lib.join_schedules([first, second, lib.constant_schedule(0.25)], [10, 20])

    counts = jnp.array(counts_for((10, 20)), jnp.int32)
    with jax.numpy_dtype_promotion("standard"):
        expected = [build(optax)(c) for c in counts]
    np.testing.assert_allclose(build(schedules)(counts), expected, rtol=1e-6, atol=1e-7)
