"""The assignment problem: SciPy's least cost, Optax's order of pairs, forbidden pairs, batches."""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from trees import enable_x64

import gradchain.assignment
from gradchain.assignment import base_hungarian_algorithm, hungarian_algorithm

SHAPES = [(1, 1), (1, 6), (6, 1), (7, 7), (16, 16), (5, 13), (13, 5)]
KINDS: dict[str, Callable[[np.random.Generator, Any], np.ndarray]] = {
    "uniform": lambda rng, shape: rng.uniform(size=shape),
    "normal": lambda rng, shape: rng.normal(size=shape),
    "integers": lambda rng, shape: rng.integers(-5, 5, shape),
    "ones": lambda rng, shape: np.ones(shape),
    "products": lambda rng, shape: np.outer(np.arange(shape[0]), np.arange(shape[1])) * rng.integers(1, 4),
    "huge": lambda rng, shape: rng.normal(size=shape) * 3e37,
    "tiny": lambda rng, shape: rng.normal(size=shape) * 1e-30,
    "shifted": lambda rng, shape: 1000 + rng.uniform(size=shape),
}
solve = jax.jit(hungarian_algorithm)


def check_pairs(cost: np.ndarray, i: Any, j: Any) -> None:
    """No row and no column twice, and as many pairs as the shorter side has."""
    assert i.shape == j.shape == (min(cost.shape),)
    for index, n in zip((i, j), cost.shape, strict=True):
        assert jnp.issubdtype(index.dtype, jnp.integer)
        chosen = np.asarray(index)
        assert len(set(chosen.tolist())) == len(chosen)
        assert ((chosen >= 0) & (chosen < n)).all()


def least(cost: np.ndarray) -> float:
    """SciPy's least total."""
    return cost[linear_sum_assignment(cost)].sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_assignment_costs_less(shape: tuple[int, int], kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    for _ in range(5):
        cost = np.asarray(KINDS[kind](rng, shape), np.float32).astype(np.float64)
        i, j = solve(jnp.asarray(cost, jnp.float32))
        check_pairs(cost, i, j)
        assert cost[i, j].sum() <= least(cost) + 1e-6 * np.abs(cost).max()


def test_many_sizes_cost_what_scipys_do() -> None:
    rng = np.random.default_rng(0)
    with enable_x64():
        for n, m in rng.integers(1, 30, (5, 2)):
            for make in (rng.uniform, functools.partial(rng.integers, 0, 20)):
                cost = np.asarray(make(size=(n, m)), np.float64)
                i, j = hungarian_algorithm(cost)
                check_pairs(cost, i, j)
                np.testing.assert_allclose(cost[i, j].sum(), least(cost), rtol=1e-13)


def test_a_large_matrix_costs_what_scipys_does() -> None:
    rng = np.random.default_rng(0)
    for cost in (rng.uniform(size=(200, 200)), rng.integers(0, 1000, (200, 200))):
        i, j = solve(jnp.asarray(cost, jnp.float32))
        check_pairs(cost, i, j)
        np.testing.assert_allclose(cost[i, j].sum(), least(cost), rtol=1e-6)


@pytest.mark.parametrize("name", ["hungarian_algorithm", "base_hungarian_algorithm"])
@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_pairs_come_as_from_optax(name: str, shape: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(1)
    with enable_x64() if dtype == "float64" else nullcontext():
        cost = jnp.asarray(100_000 * rng.normal(size=shape), dtype)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            theirs = getattr(optax.assignment, name)(cost)
        # all totals differ, so there is one answer
        for mine, other in zip(getattr(gradchain.assignment, name)(cost), theirs, strict=True):
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == (jnp.int64 if dtype == "float64" else jnp.int32)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("function", [hungarian_algorithm, base_hungarian_algorithm])
def test_no_rows_or_no_columns_give_no_pairs(function: Any, shape: tuple[int, int]) -> None:
    i, j = function(jnp.zeros(shape))
    assert i.shape == j.shape == (0,)
    assert i.dtype == j.dtype == jnp.int32


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.int8])
def test_costs_of_low_precision_are_added_in_float32(dtype: Any) -> None:
    cost = np.random.default_rng(2).integers(-100, 100, (16, 16))
    i, j = solve(jnp.asarray(cost, dtype))
    assert cost[i, j].sum() == least(cost)


@pytest.mark.parametrize("shape", [(8, 8), (6, 9), (9, 6)], ids=str)
def test_a_batch_is_solved_by_vmap(shape: tuple[int, int]) -> None:
    costs = np.random.default_rng(3).normal(size=(7, *shape)).astype(np.float32)
    together = jax.jit(jax.vmap(hungarian_algorithm))(costs)
    one_by_one = [solve(cost) for cost in costs]
    for b in range(7):
        for x, y in zip(together, one_by_one[b], strict=True):
            np.testing.assert_array_equal(x[b], y)


@pytest.mark.parametrize("mark", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("shape", [(9, 9), (6, 10), (10, 6)], ids=str)
def test_entries_that_are_not_finite_are_forbidden(shape: tuple[int, int], mark: float) -> None:
    rng = np.random.default_rng(4)
    feasible = 0
    for share in (0.1, 0.4, 0.7, 0.9, 1.0):
        for _ in range(4):
            cost = rng.normal(size=shape)
            forbidden = rng.uniform(size=shape) < share
            i, j = solve(jnp.asarray(np.where(forbidden, mark, cost), jnp.float32))
            check_pairs(cost, i, j)
            allowed_pairs = np.sum(maximum_bipartite_matching(csr_matrix(~forbidden)) >= 0)
            assert np.sum(~forbidden[i, j]) == allowed_pairs
            if allowed_pairs == min(shape):
                feasible += 1
                best = least(np.where(forbidden, np.inf, cost))
                np.testing.assert_allclose(cost[i, j].sum(), best, rtol=1e-4, atol=1e-5)
    assert 0 < feasible < 20


def test_the_largest_numbers_do_not_overflow() -> None:
    top = float(np.finfo(np.float32).max)
    cost = np.array([[top, 1.0, 2.0], [-top, top, top], [0.0, -top, top]])
    i, j = solve(jnp.asarray(cost, jnp.float32))
    assert dict(zip(i.tolist(), j.tolist(), strict=True)) == {0: 2, 1: 0, 2: 1}
    mixed = np.where(np.eye(3, dtype=bool), np.nan, cost)
    check_pairs(mixed, *solve(jnp.asarray(mixed, jnp.float32)))


@pytest.mark.parametrize("function", [hungarian_algorithm, base_hungarian_algorithm])
def test_what_is_no_matrix_of_reals_is_told(function: Any) -> None:
    name = function.__name__
    with pytest.raises(ValueError, match=rf"^{name}: cost_matrix must have two .* shape \(2, 3, 4\)"):
        function(jnp.ones((2, 3, 4)))
    for dtype in (jnp.complex64, bool):
        with pytest.raises(TypeError, match=rf"^{name}: cost_matrix must be real, received dtype"):
            function(jnp.ones((2, 3), dtype))
    i, _ = function([[1.0, 2.0], [3.0, 4.0]])
    assert i.shape == (2,)
