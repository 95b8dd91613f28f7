"""Rounding to low precision: to the nearest number as a cast has it, and at random without bias."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from trees import wide

from gradchain.core.rounding import rounded, stochastic_round

LOW = ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"]
EACH_LOW = pytest.mark.parametrize("dtype", LOW)
NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1e-45, -1e-40, 448.0, 464.5, 65504.0, 65520.0])
FEW = functools.partial(st.lists, min_size=8, max_size=8)


def values(dtype: str) -> np.ndarray:
    """All finite numbers of a dtype, in order."""
    dtype = jnp.dtype(dtype)
    every = np.arange(2 ** (8 * dtype.itemsize), dtype=f"uint{8 * dtype.itemsize}").view(dtype)
    with np.errstate(invalid="ignore"):
        every = every.astype(np.float64)
    return np.unique(every[np.isfinite(every)])


@EACH_LOW
@settings(max_examples=60, deadline=None)
@given(numbers=FEW(NUMBERS))
def test_rounding_is_that_of_a_cast(dtype: str, numbers: list[float]) -> None:
    x = np.asarray(numbers, np.float32)
    with np.errstate(all="ignore"):
        expected = x.astype(jnp.dtype(dtype)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(jax.jit(rounded, static_argnums=1)(x, dtype)), expected)


@EACH_LOW
@settings(max_examples=60, deadline=None)
@given(numbers=FEW(NUMBERS), seed=st.integers(0, 1000))
def test_stochastic_rounding_gives_a_neighbour(dtype: str, numbers: list[float], seed: int) -> None:
    """What the dtype holds stays, signs too; what is beyond its range, and NaN, is what a cast gives."""
    x = np.asarray(numbers, np.float32)
    y = np.asarray(jax.jit(stochastic_round, static_argnums=2)(x, jax.random.key(seed), dtype))
    assert y.dtype == jnp.dtype(dtype)
    y, every = y.astype(np.float64), values(dtype)
    inside = np.abs(x) <= every[-1]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(y[~inside], x[~inside].astype(jnp.dtype(dtype)).astype(np.float64))
    for number, found in zip(x[inside].astype(np.float64), y[inside], strict=True):
        assert found in (every[every >= number][0], every[every <= number][-1])
        assert found == 0 or np.sign(found) == np.sign(number)


@EACH_LOW
@pytest.mark.parametrize("number", [1.003, -2.3, 0.0021, 3e-5])
def test_stochastic_rounding_has_no_bias(dtype: str, number: float) -> None:
    """The mean of 40,000 lies within four standard errors."""
    x = np.full(40_000, number, np.float32)
    y = wide(jax.jit(stochastic_round, static_argnums=2)(x, jax.random.key(1), dtype))
    error = np.std(y) / np.sqrt(y.size)
    assert error > 0
    assert abs(np.mean(y) - np.float64(x[0])) < 4 * error
    assert (
        abs(np.mean(wide(x.astype(jnp.dtype(dtype)))) - np.float64(x[0])) > 4 * error or dtype == "float16"
    )


def test_stochastic_rounding_takes_any_shape_and_key() -> None:
    for key in (jax.random.key(0), jax.random.PRNGKey(0)):
        assert stochastic_round(jnp.float32(1.5), key, "bfloat16") == 1.5
        assert stochastic_round(jnp.zeros((0, 3)), key, "float16").shape == (0, 3)
        assert stochastic_round(jnp.ones(3, "float16"), key, "bfloat16").dtype == jnp.bfloat16
        assert stochastic_round(jnp.full(3, 0.1), key, "float32").tolist() == jnp.full(3, 0.1).tolist()
    x = jnp.full(64, 1.003)
    first, second = (wide(stochastic_round(x, jax.random.key(i), "bfloat16")) for i in range(2))
    assert not np.array_equal(first, second)
    assert (
        jax.grad(lambda x: stochastic_round(x, jax.random.key(0), "bfloat16").astype("float32"))(1.003) == 1
    )


def test_random_roundings_know_nothing_of_each_other() -> None:
    """Those of neighbours in any axis, of other keys, of keys that come one from the other."""
    x = jnp.full((300, 300), 1.0 + 2.0**-8)  # in the middle
    key = jax.random.key(0)
    keys = [key, jax.random.key(1), jax.random.fold_in(key, 7), *jax.random.split(key)]
    ups = [np.where(wide(stochastic_round(x, k, "bfloat16")) > 1, 1.0, -1.0) for k in keys]
    error = 4 / np.sqrt(x.size)
    for up in ups:
        assert abs(np.mean(up)) < error
        for moved in (up[1:] * up[:-1], up[:, 1:] * up[:, :-1], up[:, 8:] * up[:, :-8]):
            assert abs(np.mean(moved)) < error
    for i, up in enumerate(ups):
        assert all(abs(np.mean(up * other)) < error for other in ups[:i])
