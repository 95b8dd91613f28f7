"""Weights in low precision: they land exactly, they follow float32, and nothing rounds them on the way."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st
from test_rounding import EACH_LOW, FEW, NUMBERS
from trees import check_close, wide

import gradchain as gc
from gradchain.core.rounding import rounded

REMEDIES: dict[str, Callable[[Any], Any]] = {
    "master": gc.with_master_weights,
    "kahan": gc.kahan,
    "split24": gc.with_split_weights,
    "split32": lambda tx: gc.with_split_weights(tx, 32),
    "random": gc.stochastic_rounding,
}
EACH = pytest.mark.parametrize("remedy", REMEDIES)
KEPT = gc.GradientTransformation(lambda p: p, lambda g, state, p: (g, p))
"""Its state is the weights that it saw last."""


def bits(tree: Any) -> list[bytes]:
    """The bits of all numbers; NaN is NaN, and 0 has no sign."""
    found = []
    for x in jax.tree.leaves(tree):
        x = np.asarray(x)
        found.append(np.where(np.isnan(x.astype(np.float32)), np.nan, x.astype(np.float32) + 0.0).tobytes())
    return found


# Landing


@EACH
@EACH_LOW
@settings(max_examples=25, deadline=None)
@given(starts=FEW(NUMBERS), moves=FEW(st.floats(allow_nan=False, width=32)), seed=st.integers(0, 99))
def test_updates_land_exactly(
    remedy: str, dtype: str, starts: list[float], moves: list[float], seed: int
) -> None:
    """Numbers of all sizes, with all signs, and differences of them: subnormal, huge, infinite."""
    with np.errstate(all="ignore"):
        p = jnp.asarray(np.asarray(starts, np.float32).astype(jnp.dtype(dtype)))
    near = np.random.default_rng(seed).choice([-2.0, -1.0, -0.999, -0.5, -1e-3, 1e-4, 0.3], 4)
    u = jnp.asarray(np.asarray(moves, np.float32)).at[:4].set(near * wide(p)[:4])
    tx = REMEDIES[remedy](gc.scale(1.0))
    state = whole_state = tx.init(p)
    q = p
    for _ in range(2):
        before = q
        updates, state = tx.update(u, state, q)
        p, whole_state = tx.step(u, whole_state, p)
        q = gc.apply_updates(q, updates)
        assert updates.dtype == jnp.float32
        assert bits(p) == bits(q)
        assert bits(rest(state)) == bits(rest(whole_state))
        if jnp.dtype(dtype).itemsize > 1:  # Optax's sum promotes, which JAX does not do with 8 bits
            with jax.numpy_dtype_promotion("standard"):
                assert bits(optax.apply_updates(before, updates)) == bits(q)


def rest(state: Any) -> list[Any]:
    """What a state has beside keys."""
    return [x for x in jax.tree.leaves(state) if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]


def to_the_gradient() -> Any:
    """A transformation whose step leads to the gradient itself, whatever the difference."""
    return gc.GradientTransformationExtraArgs(
        lambda p: (), lambda g, state, p: (g - p, state), step=lambda g, state, p: (g, state)
    )


@EACH_LOW
def test_parameters_are_the_nearest_of_their_weights(dtype: str) -> None:
    """But those that shrink so much that the difference is no float32: within 2**-23 of what they were."""
    rng = np.random.default_rng(0)
    p = jnp.asarray(rng.normal(size=4000) * np.exp2(rng.integers(-6, 6, 4000)), dtype)
    aim = jnp.asarray(wide(p) * rng.normal(size=4000) * np.exp2(rng.integers(-20, 3, 4000)), jnp.float32)
    tx = gc.with_master_weights(to_the_gradient())
    new, state = tx.step(aim, tx.init(p), p)
    nearest, old = wide(rounded(aim, dtype)), np.abs(wide(p))
    digits = jnp.finfo(dtype).nmant + 1
    shrunk = (np.abs(nearest) < 2.0 ** (digits - 24) * old) & (nearest != 0)
    np.testing.assert_array_equal(wide(new)[~shrunk], nearest[~shrunk])
    assert np.all(np.abs(wide(new) - nearest)[shrunk] <= 2.0**-23 * old[shrunk])
    assert np.any(wide(new) != nearest) or "float8" in dtype
    np.testing.assert_array_equal(wide(rounded(state.master, dtype)), wide(new))


# What is kept

LOST = {"master": 0.0, "kahan": 2.0**-17, "split24": 2.0**-15, "split32": 2.0**-23}
"""How far from a bfloat16 weight, relative to it, the weight read at the next step may be."""


@pytest.mark.parametrize("remedy", LOST)
def test_weights_are_kept_to_their_bounds(remedy: str) -> None:
    rng = np.random.default_rng(0)
    p = jnp.asarray(rng.normal(size=20_000) * np.exp2(rng.integers(-20, 20, 20_000)), "bfloat16")
    u = jnp.asarray(wide(p) * rng.uniform(-0.6, 0.6, 20_000), jnp.float32)
    weights = p.astype(jnp.float32) + u
    tx = REMEDIES[remedy](gc.chain(gc.scale(1.0), KEPT))
    new, state = tx.step(u, tx.init(p), p)
    new, state = tx.step(jnp.zeros_like(u), state, new)
    seen = wide(state.inner_state[1])
    error = np.abs(seen - wide(weights)) / np.abs(wide(weights))
    assert np.max(error) <= LOST[remedy]
    assert np.max(error) >= LOST[remedy] / 2.5  # the bound is no wider than it must be
    usual = LOST[remedy] / 2 if remedy == "split24" else LOST[remedy]  # in the middle of neighbours more
    assert np.mean(error <= usual) > 0.99
    rounding = np.abs(wide(new) - wide(weights)) / np.abs(wide(weights))
    assert np.max(rounding) > 50 * np.max(error)  # the parameters alone are far less exact


SUMS = {"master": 1e-6, "kahan": 0.076, "split24": 0.153, "split32": 1e-6, "random": 0.4}
"""What 10,000 steps of 1e-4 may lose of their sum: so many half units of what is kept; a few deviations."""


def test_ten_thousand_small_steps_add_up() -> None:
    """From 1 to 2. Without a remedy, bfloat16 does not move at all."""

    @jax.jit
    def run(p: Any) -> Any:
        def walk(tx: Any) -> Any:
            def step(carry: Any, _: Any) -> Any:
                return tx.step(jnp.full_like(p, 1e-4), carry[1], carry[0]), None

            return jax.lax.scan(step, (p, tx.init(p)), length=10_000)[0][0]

        tx = gc.scale(1.0)
        return walk(tx), {name: walk(remedy(tx)) for name, remedy in REMEDIES.items()}

    plain, found = run(jnp.ones(8, "bfloat16"))
    exact, _ = run(jnp.ones(8))
    assert np.all(wide(plain) == 1)
    np.testing.assert_allclose(wide(exact), 2.0, rtol=1e-3)
    for name, p in found.items():
        # The gradient is a bfloat16, too: 1.0014e-4; and the sum is rounded to one in the end.
        assert np.all(np.abs(wide(p) - 2.00136) <= SUMS[name] + 2.0**-7), name


@functools.cache
def quadratic() -> dict[str, Any]:
    """300 steps of AdamW from bfloat16 numbers towards others: parameters and losses, by remedy."""
    rng = np.random.default_rng(0)
    start = jnp.asarray(rng.uniform(0.6, 1.9, 64), "bfloat16")
    target = start.astype(jnp.float32) - jnp.asarray(rng.uniform(0.1, 0.2, 64), jnp.float32)

    def loss(p: Any) -> Any:
        return jnp.sum((p.astype(jnp.float32) - target) ** 2)

    def train(tx: Any, p: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            p, state = carry
            return tx.step(jax.grad(loss)(p), state, p), loss(p)

        (p, _), losses = jax.lax.scan(step, (p, tx.init(p)), length=300)
        return p, losses

    @jax.jit
    def all_of_them() -> dict[str, Any]:
        tx = gc.adamw(1e-3, weight_decay=0.01)
        found = {name: train(remedy(tx), start) for name, remedy in REMEDIES.items()}
        return found | {"plain": train(tx, start), "float32": train(tx, start.astype(jnp.float32))}

    return all_of_them() | {"start": start}


@EACH
def test_adamw_follows_float32_and_alone_does_not(remedy: str) -> None:
    found = quadratic()
    exact, losses = found["float32"]
    assert losses[-1] < 0.01 * losses[0]
    p, followed = found[remedy]
    assert p.dtype == jnp.bfloat16
    assert followed[-1] < 0.01 * losses[0]
    # One rounding of a bfloat16, and for random ones several.
    assert np.max(np.abs(wide(p) / wide(exact) - 1)) < (0.03 if remedy == "random" else 2.0**-7)
    assert abs(np.mean(wide(p) - wide(exact))) < 2e-3
    stuck, _ = found["plain"]
    assert np.array_equal(wide(stuck), wide(found["start"]))


def test_split_weights_of_32_bits_are_master_weights() -> None:
    found = quadratic()
    check_close(found["split32"], found["master"], 1e-6)
