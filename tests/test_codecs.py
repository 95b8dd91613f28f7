"""Codecs of states in few bits: near the number, true to zero and sign, the same when coded again."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from gradchain.core import Packed
from gradchain.precision.blocks import blocks_of
from gradchain.precision.codecs import Dynamic, Float8, Linear4, Rounded
from gradchain.precision.dynamic_map import code_of, dynamic_map, number_of

CODECS = {
    "8 signed": Dynamic(8, True, 5),
    "8 unsigned": Dynamic(8, False, 5),
    "4 signed": Dynamic(4, True, 5),
    "4 linear": Linear4(5),
    "float8 signed": Float8(True, 5),
    "float8 unsigned": Float8(False, 5),
    "bfloat16": Rounded(),
}
UNSIGNED = [name for name in CODECS if "unsigned" in name or "linear" in name]
WORST = {"8 signed": 0.0352, "8 unsigned": 0.0177, "4 signed": 0.113}
"""The largest difference, in the block's scale: half of the widest gap."""
SHAPES = [(7,), (3, 4), (2, 3, 5)]


def numbers(name: str, shape: tuple[int, ...], seed: int, spread: float = 2.0) -> np.ndarray:
    """Numbers of very different sizes, some of them 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * 10.0 ** rng.uniform(-spread, spread, shape)
    x = np.where(rng.random(shape) < 0.1, 0, x).astype(np.float32)
    return np.abs(x) if name in UNSIGNED else x


@jax.jit
def _unpacked(x: Packed) -> jax.Array:
    return x.unpacked()


@functools.partial(jax.jit, static_argnums=1)
def _packed(x: jax.Array, codec: Any, seed: Any = 0) -> Packed:
    return Packed.of(x, codec, seed)


@jax.jit
def _again(x: Packed, y: Any) -> Packed:
    return x.like(y)


def packed(name: str, x: Any) -> Packed:
    """An array as a codec keeps it, each entry as its nearest code."""
    return _packed(jnp.asarray(x), CODECS[name])


def at_random(name: str, x: Any, seed: int) -> Packed:
    """An array as a codec keeps it, rounded at random."""
    x = jnp.asarray(x)
    return _again(_packed(jnp.zeros_like(x), CODECS[name], seed), x)


def scales_of(x: np.ndarray, most: int) -> np.ndarray:
    """The largest size in each entry's block, in NumPy, entry by entry."""
    axis, inner = x.ndim - 1, 1
    while axis > 0 and inner * x.shape[axis] < most:
        inner *= x.shape[axis]
        axis -= 1
    blocks = blocks_of(x.shape, most)
    assert blocks.axis == axis
    assert blocks.size * inner <= max(most, inner)
    out = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        begin = place[axis] // blocks.size * blocks.size
        block = x[(*place[:axis], slice(begin, begin + blocks.size))]
        out[place] = np.abs(block).max()
    return out


def test_maps_are_the_published_ones() -> None:
    signed, unsigned, four = dynamic_map(True), dynamic_map(False), dynamic_map(True, 4)
    assert len(signed) == len(unsigned) == len(np.unique(signed)) == len(np.unique(unsigned)) == 256
    np.testing.assert_allclose(signed[[0, 127, 128, 129, 255]], [-0.99296875, 0, 5.5e-7, 3.25e-6, 1])
    np.testing.assert_allclose(unsigned[[0, 1, 2, 254, 255]], [0, 3.25e-7, 7.75e-7, 0.99648438, 1])
    half = [0.0055, 0.0325, 0.0775, 0.2125, 0.4375, 0.6625, 0.8875]
    np.testing.assert_allclose(four, [*(-x for x in half[::-1]), 0, *half, 1])


@pytest.mark.parametrize(("signed", "bits"), [(True, 8), (False, 8), (True, 4), (False, 4)])
def test_codes_are_of_the_nearest_number(signed: bool, bits: int) -> None:
    table = dynamic_map(signed, bits)
    read = np.asarray(number_of(jnp.arange(len(table), dtype=jnp.uint8), signed, bits))
    np.testing.assert_allclose(read, table, rtol=1e-6)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 4000) * 10.0 ** rng.uniform(-8, 0, 4000)
    x = np.concatenate([x if signed else abs(x), table, [0.0, 1.0, -1.0 if signed else 1.0]])
    codes = np.asarray(jax.jit(lambda x: code_of(x, signed, bits))(x.astype(np.float32)))
    off = np.abs(table[codes] - x)
    nearest = np.abs(table[:, None] - x).min(0)
    up = (x > 0) & (codes == 1) if not signed else np.zeros(x.shape, bool)
    assert np.all((off <= nearest * (1 + 1e-4)) | up)
    assert np.all(off[up] <= table[1])
    assert signed or np.all(codes[x > 0] > 0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", list(CODECS))
def test_numbers_come_back_within_half_a_gap_or_at_random_a_gap(name: str, shape: tuple[int, ...]) -> None:
    for seed in range(4):
        x = numbers(name, shape, seed // 2)
        gaps = 1 + seed % 2  # in halves
        there = packed(name, x) if gaps == 1 else at_random(name, x, seed)
        assert there.shape == shape
        assert there.dtype == np.float32
        back = np.asarray(_unpacked(there))
        scale = scales_of(x, 5)
        if name == "4 linear":
            low = x.max(tuple(range(1, x.ndim))) if x.ndim > 1 else scale
            if x.ndim > 1:
                axes = range(x.ndim)
                largest = [x.max(tuple(b for b in axes if b != a), keepdims=True) for a in axes]
                scale = np.broadcast_to(np.minimum.reduce(np.broadcast_arrays(*largest)), shape)
            assert np.all(low >= 0)
            bound = scale / 16
        elif name.startswith("float8"):
            bound = np.maximum(np.abs(x) / 16, scale / 448 / (512 if "un" in name else 1024))
        elif name == "bfloat16":
            bound = np.abs(x) / 256
        else:
            bound = WORST[name] * scale
            small = dynamic_map("un" not in name, int(name[0]))
            tiny = small[small > 0][0] * scale
            if name[0] == "8":  # and relative to the number, three decades down
                near = np.abs(x) > scale / 1e3
                assert np.all(np.abs(back - x)[near] <= 0.85 * np.abs(x)[near] + tiny[near])
        assert np.all(np.abs(back - x) <= gaps * bound * (1 + 1e-5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", list(CODECS))
def test_zero_and_signs_stay(name: str, shape: tuple[int, ...]) -> None:
    nothing = np.zeros(shape, np.float32)
    assert np.array_equal(_unpacked(packed(name, nothing)), nothing)
    x = numbers(name, shape, 1, spread=9.0)  # some far below the smallest number of their block
    back = np.asarray(_unpacked(packed(name, x)))
    assert np.all(back * x >= 0)
    if name in UNSIGNED:
        assert np.all(back[x > 0] > 0)
    if name != "4 linear":
        assert np.all(back[x == 0] == 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", list(CODECS))
def test_what_is_not_finite_shows(name: str, bad: float) -> None:
    for shape in SHAPES[:2]:
        x = numbers(name, shape, 2)
        x.flat[1] = abs(bad) if name in UNSIGNED else bad
        back = np.asarray(_unpacked(packed(name, x)))
        assert not np.all(np.isfinite(back))
        other = scales_of(np.where(np.isfinite(x), x, 0), 5)
        assert np.isfinite(back).sum() >= 2 or other.size < 8  # other blocks are as they were


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(CODECS)), st.sampled_from(SHAPES), st.integers(0, 2**31 - 1))
@example("8 signed", (3, 4), 0)
def test_what_is_coded_again_is_the_same(name: str, shape: tuple[int, ...], seed: int) -> None:
    """So steps that are skipped, and micro-steps, change nothing: not in a thousand of them."""
    once = _packed(jnp.asarray(numbers(name, shape, seed)), CODECS[name], seed)
    again = _again(once, _unpacked(once))
    again = _again(again, _unpacked(again))
    assert np.array_equal(once.codes, again.codes)
    assert jax.tree.all(jax.tree.map(np.array_equal, once.scales, again.scales))
    assert jax.tree.structure(once) == jax.tree.structure(again)
    assert int(again.seed) == seed + 2


@pytest.mark.parametrize("name", list(CODECS))
def test_rounding_is_right_on_average(name: str) -> None:
    """The mean of 4,000 is within 4.5 standard errors of the number, wherever it lies between two codes."""
    x = np.tile(np.linspace(0.3, 0.9, 4, dtype=np.float32), 1000).reshape(1000, 4)
    x = np.concatenate([x, np.ones((1000, 1), np.float32)], 1)  # the scale of a block of 5
    if name not in UNSIGNED:
        x[:, 1:3] *= -1
    x = np.concatenate([np.ones((1, 5), np.float32), x])  # the scale of a column
    found = np.asarray(_unpacked(at_random(name, x, 7)))[1:]
    for column, exact in zip(found.T, x[1], strict=True):
        low, high = column.min(), column.max()
        assert low <= exact * (1 + 1e-6 * np.sign(exact))
        assert len(np.unique(column)) <= 2
        error = (high - low) / 2 / np.sqrt(len(column))
        assert abs(column.mean() - exact) <= 4.5 * error + 1e-6
    assert np.ptp(found, 0)[:4].max() > 0


@pytest.mark.parametrize(
    ("codec", "limit"),
    [(Dynamic(8, False, 256), 0.02), (Float8(False, 256), 0.02), (Rounded(), 0.02), (Linear4(256), 0.1)],
    ids=repr,
)
def test_what_moves_slowly_moves_at_all(codec: Any, limit: float) -> None:
    """700 steps of a second moment with b2 = 0.999, each far below the gaps between codes."""
    rng = np.random.default_rng(0)
    start = jnp.asarray(rng.uniform(0.1, 1, 1024), jnp.float32).at[::256].set(1)
    goal = jnp.where(jnp.arange(1024) % 256 == 0, 1, 0.1 * start)

    def step(x: Packed, _: Any) -> Any:
        return x.like(x.unpacked() + (goal - x.unpacked()) / 1000), None

    last = jax.jit(lambda x: jax.lax.scan(step, x, length=700)[0].unpacked())(Packed.of(start, codec))
    expected = goal + (start - goal) * 0.999**700
    assert abs(float(jnp.sum(last) / jnp.sum(expected)) - 1) < limit


@pytest.mark.parametrize(
    ("shape", "most", "scales"),
    [
        ((512,), 256, (2,)),
        ((300,), 256, (2,)),  # two of 150
        ((100,), 256, (1,)),
        ((64, 512), 256, (64, 2)),
        ((64, 32), 256, (8,)),
        ((3, 3, 64, 128), 256, (3, 3, 32)),
        ((2, 3), 256, (1,)),
        ((5, 300, 7), 256, (5, 9)),  # 36 rows of 7 fit: 34 each
    ],
)
def test_blocks_run_along_trailing_axes(shape: Any, most: int, scales: Any) -> None:
    there = jax.eval_shape(lambda: Packed.of(jnp.zeros(shape), Dynamic(8, True, most)))
    assert there.codes.shape == shape
    assert there.scales.shape == scales
    halves = jax.eval_shape(lambda: Packed.of(jnp.zeros(shape), Dynamic(4, True, most)))
    assert halves.codes.shape == (*shape[:-1], (shape[-1] + 1) // 2)
    assert halves.shape == shape


def test_errors_are_as_measured_elsewhere() -> None:
    """1.07 % of a normal momentum, and 2.7 % of of a second moment with a heavy tail, as a median."""
    rng = np.random.default_rng(0)
    mu = rng.normal(size=(1024, 256)).astype(np.float32)
    back = np.asarray(_unpacked(_packed(jnp.asarray(mu), Dynamic(8, True, 256))))
    assert 0.009 < np.abs(back - mu).mean() / np.abs(mu).mean() < 0.012
    nu = np.square(rng.standard_t(3, size=(1024, 256)) * np.exp(rng.normal(size=(1024, 256)))).astype("f")
    back = np.asarray(_unpacked(_packed(jnp.asarray(nu), Dynamic(8, False, 256))))
    assert 0.02 < np.median(np.abs(back - nu) / nu) < 0.035
    assert np.all(back > 0)
