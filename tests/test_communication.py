"""What communicates follows the papers' algorithms on eight devices, in every way to have them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from communication import LR, STEPS, TXS, N, for_all, mean, on_devices, problem, train, trained
from references import papers_devices as papers
from trees import check_close, wide

import gradchain as gc

sys.path.append(str(Path(__file__).parents[1]))  # the benchmarks are not installed


def walk(algorithm: Any, g: Any, devices: int = N) -> Any:
    """(devices, steps, ...): where an algorithm of `papers_devices` takes all workers."""
    next(algorithm)
    ways = [algorithm.send([wide(x[t]) for x in g]) for t in range(STEPS)]
    return np.stack([way if isinstance(way, list) else [way] * devices for way in ways], axis=1)


def averaged(p: Any) -> Any:
    """Gradient descent on the mean."""
    while True:
        p = p - LR * np.mean((yield p), axis=0)


def started(p: Any, leaf: int, shape: tuple[int, int]) -> Any:
    """Two steps on the mean, then PowerSGD of rank 1."""
    for _ in range(2):
        p = p - LR * np.mean((yield p), axis=0)
    later = papers.power_sgd(p.reshape(shape), 1, LR, leaf)
    next(later)
    while True:
        p = later.send([g.reshape(shape) for g in (yield p)]).reshape(p.shape)


def low_rank(rank: int) -> Callable[..., Any]:
    def algorithm(p: Any, leaf: int, shape: tuple[int, int]) -> Any:
        inner = papers.power_sgd(p.reshape(shape), rank, LR, leaf)
        next(inner)
        while True:
            p = inner.send([g.reshape(shape) for g in (yield p)]).reshape(p.shape)

    return algorithm


def algorithm(name: str, key: str, leaf: int, p: Any) -> Any:
    if name in ("power_sgd", "started"):
        if p.ndim < 2:
            return averaged(p)
        shape = (p.size // p.shape[-1], p.shape[-1])
        return (low_rank(2) if name == "power_sgd" else started)(p, leaf, shape)
    if name == "diloco":
        return papers.diloco(p, 3, LR, workers=N)
    return papers.sign_majority_vote(p, LR) if name == "vote" else papers.two_ways(p, LR)


@pytest.mark.parametrize("name", list(TXS))
def test_devices_follow_the_algorithm(name: str) -> None:
    way, _ = trained(name)
    p, g = problem()
    for leaf, key in enumerate(p):
        expected = walk(algorithm(name, key, leaf, wide(p[key])), g[key])
        np.testing.assert_allclose(way[key], expected, rtol=2e-5, atol=2e-5, err_msg=key)
    for x in jax.tree.leaves(way):
        spread = [np.ptp(np.asarray(x)[:, t], axis=0).max() for t in range(STEPS)]
        assert [float(s) == 0 for s in spread] == [name != "diloco" or t in (2, 5) for t in range(STEPS)]


def without_signs(result: Any) -> Any:
    """PowerSGD's Q without signs: where a row of the gradient is 0, a rounding chooses that of a column."""
    way, state = result
    return way, jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.abs(x) if ".q" in jax.tree_util.keystr(path) else x, state
    )


@pytest.mark.parametrize("name", list(TXS))
def test_it_is_the_same_everywhere(name: str) -> None:
    """In vmap, with unchecked types, and by update."""
    p, g = problem()
    given = for_all(p), for_all(TXS[name].init(p)), g
    by_vmap = jax.jit(jax.vmap(train(TXS[name]), axis_name="data"))(*given)
    check_close(without_signs(by_vmap), without_signs(trained(name)), 1e-5)
    unchecked = on_devices(train(TXS[name], whole=False), check=False)(*given)
    check_close(unchecked[0], trained(name)[0], 1e-5)


def test_three_devices_vote() -> None:
    way, _ = trained("vote", 3)
    p, g = problem(3)
    for key in p:
        expected = walk(papers.sign_majority_vote(wide(p[key]), LR), g[key], 3)
        np.testing.assert_allclose(way[key], expected, rtol=1e-5, atol=1e-5)


# What is kept, and what it sums up to


def test_nothing_is_lost() -> None:
    """The parameters' way, with what is kept of it, is that of the mean gradients."""
    p, g = problem()
    total = {key: wide(x).mean(0).sum(0) for key, x in g.items()}
    for name in ("power_sgd", "errors"):
        way, state = trained(name)
        for key in ("b", "conv", "s", "w"):
            kept = wide(state[0].error[key]).mean(0) if state[0].error[key].size else 0.0
            if name == "errors":
                kept = kept + wide(state[0].verdict_error[key]).sum(0)
            gone = (wide(p[key]) - wide(way[key])[0, -1]) / LR
            np.testing.assert_allclose(gone + kept, total[key], rtol=1e-4, atol=1e-5)
    assert np.all(np.asarray(way["w"])[:, :, 0] == p["w"][0]), "what nobody uses stays"


def test_full_rank_is_the_mean_in_two_exchanges() -> None:
    p, g = problem(steps=1)
    first = jax.tree.map(lambda x: x[:, 0], g)
    tx = gc.power_sgd(99, min_compression_rate=0)
    step = on_devices(lambda g, s: tx.update(g, s)[0])
    check_close(step(first, for_all(tx.init(p))), for_all(jax.tree.map(lambda x: x.mean(0), first)), 1e-6)
    found = gc.collectives(step.lower(first, for_all(tx.init(p))).compile())
    assert [c.kind for c in found] == ["all-reduce"] * 2


def test_small_matrices_are_averaged_as_they_are() -> None:
    p = {"small": jnp.ones((8, 8)), "large": jnp.ones((16, 32)), "embed": jnp.ones((8, 64))}
    tx = gc.power_sgd(2, key=jax.random.key(3))
    assert {k: q.shape for k, q in tx.init(p).q.items()} == {
        "small": (0, 0, 0),  # 64 entries, 32 of its factors: not less than half
        "large": (1, 32, 2),
        "embed": (1, 64, 2),
    }
    other = gc.power_sgd(2).init(p)
    assert not np.array_equal(tx.init(p).q["large"], other.q["large"])
    flax = gc.power_sgd(2, weight_dimension_numbers=gc.matrix_dimension_numbers("flax")).init(p)
    assert flax.q["embed"].shape == (0, 0, 0)


def test_rounds_of_one_step_are_data_parallel_training() -> None:
    p, g = problem()
    tx, plain = gc.diloco(gc.sgd(LR), gc.sgd(1.0), 1), gc.chain(mean(), gc.sgd(LR))
    run = lambda tx: jax.jit(jax.vmap(train(tx), axis_name="data"))(for_all(p), for_all(tx.init(p)), g)  # noqa: E731
    check_close(run(tx)[0], run(plain)[0], 1e-5)


@pytest.mark.parametrize("whole", [True, False])
def test_rounds_in_low_precision_meet_in_one_point(whole: bool) -> None:
    """Steps that bfloat16 would lose add up in the round's start."""
    low = jnp.bfloat16
    p, g = {"w": jnp.full((1,), 256.0, low)}, 2 * np.arange(8.0) - 20.5
    tx = gc.diloco(gc.sgd(0.25), gc.sgd(0.25), 3)
    given = {"w": jnp.broadcast_to(jnp.asarray(g, low)[:, None, None], (8, 24, 1))}
    run = jax.jit(jax.vmap(train(tx, whole), axis_name="data"))
    way, state = run(for_all(p), for_all(tx.init(p)), given)
    start, points, expected = 256.0, np.full(8, 256.0), []
    for t in range(24):
        points = wide((points - 0.25 * g).astype(low))
        if t % 3 == 2:
            start = start - 0.25 * np.mean(float(low(start)) - points)
            points = np.full(8, float(low(start)))
        expected.append(points)
    assert np.array_equal(wide(way["w"])[..., 0], np.stack(expected, axis=1))
    assert state.start["w"].dtype == jnp.float32
    np.testing.assert_allclose(state.start["w"][:, 0], start, rtol=1e-6)
    assert float(low(start)) != pytest.approx(start, abs=0.1), "the start holds more than bfloat16 can"


def test_means_are_taken_in_float32() -> None:
    big, small = np.float32(256), np.float32(1)
    g = {"b": jnp.asarray([big] + [small] * 7, jnp.bfloat16)[:, None]}
    tx = gc.power_sgd(1)
    u, _ = jax.vmap(lambda g: tx.update(g, tx.init(g)), axis_name="data")(g)
    assert u["b"].dtype == jnp.bfloat16
    assert np.all(wide(u["b"]) == wide(jnp.bfloat16((256 + 7) / 8)))  # in bfloat16 256 + 1 is 256
    step = on_devices(lambda g: tx.update(g, tx.init(g))[0])
    (found,) = gc.collectives(step.lower(g).compile())
    assert found.arrays[0][0] == "f32"


def test_what_is_no_number_is_not_outvoted() -> None:
    g = {"w": jnp.ones((8, 6)).at[3, 2].set(jnp.nan)}
    tx = gc.sign_majority_vote()
    u = jax.vmap(lambda g: tx.update(g, tx.init(g))[0], axis_name="data")(g)
    assert np.all(np.isnan(u["w"]) == (np.arange(6) == 2))
