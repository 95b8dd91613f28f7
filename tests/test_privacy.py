"""Differential privacy: clipping against a loop over examples, noise against what it should be."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from trees import check_close, wide

import gradchain as gc

SHAPES = {"w": (3, 2), "deep": ([(2,), None], ())}


def is_shape(x: Any) -> bool:
    """Whether `x` is a leaf of SHAPES."""
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def examples(n: int, dtype: Any = jnp.float32, size: float = 1.0, zeros: tuple[int, ...] = ()) -> Any:
    """Gradients of `n` examples of various sizes, those numbered in `zeros` all zero."""
    rng = np.random.default_rng(n)
    sizes = size * rng.uniform(0.1, 3, n)
    sizes[list(zeros)] = 0

    def draw(shape: Any) -> Any:
        x = np.einsum("n,n...->n...", sizes, rng.normal(size=(n, *shape)))
        if jnp.issubdtype(dtype, jnp.complexfloating):
            x = x * np.exp(1j * rng.uniform(size=x.shape))
        return jnp.asarray(x, dtype)

    return jax.tree.map(lambda s: None if s is None else draw(s), SHAPES, is_leaf=is_shape)


def norm(leaves: list[np.ndarray]) -> float:
    """The Euclidean norm of arrays as one vector."""
    return float(np.sqrt(sum(np.sum(np.abs(x) ** 2) for x in leaves)))


def clipped_by_loop(grads: Any, bounds: Callable[[list[np.ndarray]], list[list[float]]]) -> Any:
    """One example after another: sums, and how often each group was shrunk.

    `bounds` gives, for the leaves of an example, the factor of each leaf.
    """
    leaves = [wide(g) for g in jax.tree.leaves(grads)]
    sums, shrunk = [np.zeros(g.shape[1:], g.dtype) for g in leaves], np.zeros(len(leaves), int)
    for i in range(leaves[0].shape[0]):
        example = [g[i] for g in leaves]
        for j, factor in enumerate(bounds(example)):
            sums[j] = sums[j] + factor * example[j]
            shrunk[j] += factor < 1
    return jax.tree.unflatten(jax.tree.structure(grads), sums), shrunk


def shrinking(size: float, bound: float) -> float:
    """The factor that brings a norm within a bound."""
    return bound / size if size > bound else 1.0


BATCHES: dict[str, Any] = {
    "seven": examples(7),
    "one": examples(1),
    "some zeros": examples(6, zeros=(0, 3)),
    "all zeros": examples(2, zeros=(0, 1)),
    "large": examples(5, size=1e6),
    "small": examples(5, size=1e-6),
    "float16": examples(6, jnp.float16),
    "float16, large": examples(6, jnp.float16, size=300.0),
    "bfloat16": examples(6, jnp.bfloat16),
    "complex64": examples(6, jnp.complex64),
}
BY_BATCH = pytest.mark.parametrize("batch", BATCHES)
CLIPS = [0.0, 1e-3, 1.0, 4.0, 1e9]
ROUNDING = {"float16": 2e-3, "bfloat16": 1e-2}


def tolerance(grads: Any) -> float:
    """What one rounding at the end may cost."""
    return ROUNDING.get(str(jax.tree.leaves(grads)[0].dtype), 2e-6)


@BY_BATCH
def test_global_clipping_is_a_loop_over_examples(batch: str) -> None:
    grads = BATCHES[batch]
    clip = jax.jit(gc.per_example_global_norm_clip)
    for bound in CLIPS:
        factors = lambda example, c=bound: [shrinking(norm(example), c)] * len(example)  # noqa: E731
        expected, shrunk = clipped_by_loop(grads, factors)
        total, count = clip(grads, bound)
        check_close(total, expected, tolerance(grads))
        assert int(count) == shrunk[0]
        assert [x.dtype for x in jax.tree.leaves(total)] == [g.dtype for g in jax.tree.leaves(grads)]


@pytest.mark.parametrize("uniform", [True, False])
@BY_BATCH
def test_clipping_by_leaf_is_a_loop_over_examples(batch: str, uniform: bool) -> None:
    grads = BATCHES[batch]
    sizes = [g[0].size for g in jax.tree.leaves(grads)]
    shares = [1 / len(sizes) if uniform else size / sum(sizes) for size in sizes]
    np.testing.assert_allclose(sum(shares), 1)  # so that the whole is within the bound
    clip = jax.jit(lambda g, c: gc.per_example_layer_norm_clip(g, c, uniform))
    for bound in CLIPS:

        def factors(example: list[np.ndarray], c: float = bound) -> list[float]:
            bounds = [c * share**0.5 for share in shares]
            return [shrinking(norm([x]), b) for x, b in zip(example, bounds, strict=True)]

        expected, shrunk = clipped_by_loop(grads, factors)
        total, counts = clip(grads, bound)
        check_close(total, expected, tolerance(grads))
        np.testing.assert_array_equal(jax.tree.leaves(counts), shrunk)


@pytest.mark.parametrize("clip", [gc.per_example_global_norm_clip, gc.per_example_layer_norm_clip])
def test_one_example_moves_the_sum_by_no_more_than_the_bound(clip: Any) -> None:
    grads = examples(8, size=100.0)
    without = jax.tree.map(lambda g: g[1:], grads)
    moved = jax.tree.map(lambda x, y: wide(x) - wide(y), clip(grads, 0.5)[0], clip(without, 0.5)[0])
    assert 0.4 < norm(jax.tree.leaves(moved)) <= 0.5 * (1 + 1e-5)


def test_sums_are_in_full_precision_on_any_hardware() -> None:
    jaxpr = jax.make_jaxpr(lambda g: gc.per_example_global_norm_clip(g, 1.0)[0])(jnp.ones((4, 3)))
    assert "Precision.HIGHEST" in str(jaxpr)


def test_a_bad_example_is_seen() -> None:
    grads = examples(3)
    for bad in (jnp.nan, jnp.inf):
        spoilt = grads | {"w": grads["w"].at[1, 0, 0].set(bad)}
        total, _ = gc.per_example_global_norm_clip(spoilt, 1.0)
        assert not np.isfinite(total["w"]).all()


# The noise, of zero gradients: nothing but noise.

N, ENTRIES, CLIP, MULTIPLIER = 5, 20_000, 0.7, 1.3
STD = CLIP * MULTIPLIER / N
ZEROS = {"a": jnp.zeros((N, ENTRIES)), "b": (jnp.zeros((N, 2, ENTRIES // 2)),)}


def aggregate(key: Any = 11) -> Any:
    """The transformation under test."""
    return gc.contrib.differentially_private_aggregate(CLIP, MULTIPLIER, key)


def draws(tx: Any, steps: int = 2, grads: Any = ZEROS) -> list[np.ndarray]:
    """The noise of both leaves at each step, as vectors."""
    state, out = tx.init(None), []
    for _ in range(steps):
        updates, state = jax.jit(tx.update)(grads, state)
        out += [wide(u).ravel() for u in jax.tree.leaves(updates)]
    return out


def test_noise_has_the_promised_size_and_no_mean() -> None:
    for noise in draws(aggregate()):
        assert noise.size == ENTRIES
        # of a normal sample, std^2 (n - 1) / sigma^2 is chi-square: 5 standard errors
        assert abs(np.std(noise, ddof=1) / STD - 1) < 5 / (2 * ENTRIES) ** 0.5
        assert abs(np.mean(noise)) < 5 * STD / ENTRIES**0.5
        assert scipy.stats.kstest(noise, scipy.stats.norm(scale=STD).cdf).pvalue > 1e-4


def test_noise_is_new_for_each_leaf_and_each_step() -> None:
    correlation = np.corrcoef(draws(aggregate(), 3))
    np.fill_diagonal(correlation, 0)
    assert np.max(np.abs(correlation)) < 5 / ENTRIES**0.5


@pytest.mark.parametrize("again", [11, jax.random.key(11)], ids=["seed", "key"])
def test_noise_is_that_of_the_key(again: Any) -> None:
    first = draws(aggregate())
    for x, y, z in zip(first, draws(aggregate(again)), draws(aggregate(12)), strict=True):
        np.testing.assert_array_equal(x, y)
        assert abs(np.corrcoef(x, z)[0, 1]) < 5 / ENTRIES**0.5


@pytest.mark.parametrize(("clip", "multiplier"), [(0.0, 1.0), (1.0, 0.0)])
def test_no_noise_where_none_is_asked(clip: float, multiplier: float) -> None:
    tx = gc.contrib.differentially_private_aggregate(clip, multiplier, 1)
    grads = examples(4)
    updates, _ = tx.update(grads, tx.init(None))
    total, _ = gc.per_example_global_norm_clip(grads, clip)
    check_close(updates, jax.tree.map(lambda x: x / 4, total), 1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_gets_the_noise_of_float32(dtype: Any) -> None:
    half = jax.tree.map(lambda x: x.astype(dtype), ZEROS)
    state = aggregate().init(None)
    updates, _ = aggregate().update(half, state)
    expected, _ = aggregate().update(ZEROS, state)
    check_close(updates, jax.tree.map(lambda x: x.astype(dtype), expected), 0)


def test_dpsgd_descends_along_the_noisy_mean() -> None:
    grads = examples(4)
    private = gc.contrib.differentially_private_aggregate(CLIP, MULTIPLIER, 5)
    for tx, plain in (
        (gc.contrib.dpsgd(0.1, CLIP, MULTIPLIER, 5), gc.sgd(0.1)),
        (gc.contrib.dpsgd(0.1, CLIP, MULTIPLIER, 5, 0.9, True), gc.sgd(0.1, 0.9, True)),
    ):
        p = jax.tree.map(lambda g: g[0], grads)
        state, first, second = tx.init(p), private.init(p), plain.init(p)
        for _ in range(3):
            updates, state = tx.update(grads, state, p)
            mean, first = private.update(grads, first, p)
            expected, second = plain.update(mean, second, p)
            check_close(updates, expected, 1e-6)


def test_the_mean_of_many_noisy_means_is_the_clipped_mean() -> None:
    grads, steps = examples(4), 2000
    tx = gc.contrib.differentially_private_aggregate(1.0, 1.0, 3)

    def step(state: Any, _: Any) -> Any:
        updates, state = tx.update(grads, state)
        return state, updates

    _, updates = jax.lax.scan(step, tx.init(None), length=steps)
    total, _ = gc.per_example_global_norm_clip(grads, 1.0)
    for u, t in zip(jax.tree.leaves(updates), jax.tree.leaves(total), strict=True):
        np.testing.assert_allclose(np.mean(wide(u), 0), wide(t) / 4, atol=5 * 0.25 / steps**0.5)
