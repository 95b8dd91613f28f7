"""Weights in low precision: they land exactly, they follow float32, and nothing rounds them on the way."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from hypothesis import given, settings, strategies as st
from trees import check_close, gradients, params, signature_of, wide, worst

import gradchain as gc
from gradchain.core import OrderWarning
from gradchain.core.rounding import rounded, stochastic_round

REMEDIES: dict[str, Callable[[Any], Any]] = {
    "master": gc.with_master_weights,
    "kahan": gc.kahan,
    "split24": gc.with_split_weights,
    "split32": lambda tx: gc.with_split_weights(tx, 32),
    "random": gc.stochastic_rounding,
}
EACH = pytest.mark.parametrize("remedy", REMEDIES)
LOW = ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"]
EACH_LOW = pytest.mark.parametrize("dtype", LOW)
KEPT = gc.GradientTransformation(lambda p: p, lambda g, state, p: (g, p))
"""Its state is the weights that it saw last."""


def bits(tree: Any) -> list[bytes]:
    """The bits of all numbers; NaN is NaN, and 0 has no sign."""
    found = []
    for x in jax.tree.leaves(tree):
        x = np.asarray(x)
        found.append(np.where(np.isnan(x.astype(np.float32)), np.nan, x.astype(np.float32) + 0.0).tobytes())
    return found


def values(dtype: Any) -> np.ndarray:
    """All finite numbers of a dtype, in order."""
    dtype = jnp.dtype(dtype)
    every = np.arange(2 ** (8 * dtype.itemsize), dtype=f"uint{8 * dtype.itemsize}").view(dtype)
    with np.errstate(invalid="ignore"):
        every = every.astype(np.float64)
    return np.unique(every[np.isfinite(every)])


# Rounding

NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1e-45, -1e-40, 448.0, 464.5, 65504.0, 65520.0])
FEW = functools.partial(st.lists, min_size=8, max_size=8)


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


# What is around


def tree(dtype: Any = "bfloat16") -> Any:
    """Two matrices and a vector."""
    p = params(dtype)
    return {"w": p["w"], "deep": {"b": p["deep"][0]["b"], "v": p["w"] * jnp.asarray(0.5, dtype)}}


def inner(rate: Any = 1e-3) -> Any:
    return gc.adamw(rate, weight_decay=0.1)


AROUND: dict[str, Callable[[Any], Any]] = {
    "bare": lambda wrap: wrap(inner()),
    "chain": lambda wrap: gc.chain(gc.clip_by_global_norm(1e9), wrap(inner())),
    "chain inside": lambda wrap: wrap(gc.chain(gc.clip_by_global_norm(1e9), inner())),
    "named_chain": lambda wrap: gc.named_chain(("it", wrap(inner()))),
    "apply_if_finite": lambda wrap: gc.apply_if_finite(wrap(inner()), 3),
    "conditionally_mask": lambda wrap: gc.conditionally_mask(wrap(inner()), lambda step: step >= 0),
    "conditionally_transform": lambda wrap: gc.conditionally_transform(
        wrap(inner()), lambda step: step >= 0
    ),
    "accumulate_gradients": lambda wrap: gc.accumulate_gradients(wrap(inner()), 1),
    "masked": lambda wrap: gc.masked(wrap(inner()), {"w": True, "deep": True}),
    "partition": lambda wrap: gc.partition(
        {"a": wrap(inner()), "b": wrap(inner())}, {"w": "a", "deep": "b"}
    ),
    "groups": lambda wrap: gc.groups({"w": wrap(inner())}, wrap(inner())),
    "inject_hyperparams": lambda wrap: gc.inject_hyperparams(
        lambda learning_rate: wrap(inner(learning_rate))
    )(1e-3),
    "injected inside": lambda wrap: wrap(gc.inject_hyperparams(gc.adamw)(1e-3, weight_decay=0.1)),
    "tunable": lambda wrap: gc.tunable(wrap(inner())),
    "flatten": lambda wrap: gc.flatten(wrap(inner())),
    "with_global_norm": lambda wrap: gc.with_global_norm(wrap(inner())),
    "logged": lambda wrap: gc.logged(wrap(inner()), 2),
    "averaged": lambda wrap: gc.chain(wrap(inner()), gc.ema_params(0.9)),
    "optax.chain": lambda wrap: optax.chain(optax.identity(), wrap(inner())),
    "optax inside": lambda wrap: wrap(optax.adamw(1e-3, weight_decay=0.1)),
    "dynamic_loss_scale": lambda wrap: gc.dynamic_loss_scale(wrap(inner()), 1.0),
}


@pytest.mark.parametrize("around", AROUND)
def test_steps_land_whatever_is_around(around: str) -> None:
    """After 5 steps, too small for bfloat16, parameters are those of a float32 run, rounded once."""
    tx = AROUND[around](gc.with_master_weights)
    p = q = tree()
    high = jax.tree.map(lambda x: x.astype(jnp.float32), p)
    g = jax.tree.map(lambda x: x.astype(jnp.float32), gradients(p, 0))
    plain = inner()
    state, whole_state, high_state = tx.init(p), tx.init(p), plain.init(high)
    update, step = jax.jit(tx.update), jax.jit(functools.partial(gc.step, tx))
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(5):
            updates, state = update(gradients(p, 0), state, p)
            assert {u.dtype for u in jax.tree.leaves(updates)} == {jnp.dtype("float32")}
            p = gc.apply_updates(p, updates)
            q, whole_state = step(gradients(q, 0), whole_state, q)
            high = plain.step(g, high_state, high)
            high, high_state = high
    expected = jax.tree.map(lambda x: x.astype(jnp.bfloat16), high)
    assert worst(high, tree("float32")) > 1e-3
    check_close(p, q, 0)
    check_close(p, expected, 1e-7)


def test_aggregated_gradients_land() -> None:
    """A stage that waits for the gradients of all elements gives float32 updates, too."""
    aggregating = gc.experimental.aggregating
    wrapped = gc.with_master_weights(inner())
    tx = aggregating.process(gc.identity(), aggregating.average_incrementally_updates(0, 2), wrapped)
    p, g = tree(), gradients(tree(), 0)
    stacked = jax.tree.map(lambda x: x[None], g)
    state, expected = tx.init(p), wrapped.step(g, wrapped.init(p), p)[0]
    for _ in range(2):
        updates, state = jax.jit(tx.update)(stacked, state, p)
        assert {u.dtype for u in jax.tree.leaves(updates)} == {jnp.dtype("float32")}
        p = gc.apply_updates(p, updates)
    check_close(p, expected, 0)


@EACH
def test_micro_steps_change_nothing_and_steps_land(remedy: str) -> None:
    tx = gc.MultiSteps(REMEDIES[remedy](inner()), 2).gradient_transformation()
    p = q = tree()
    state = whole_state = tx.init(p)
    direct = REMEDIES[remedy](inner())
    expected, direct_state = p, direct.init(p)
    for t in range(4):
        updates, state = tx.update(gradients(p, 0), state, p)
        assert {u.dtype for u in jax.tree.leaves(updates)} == {jnp.dtype("float32")}
        p = gc.apply_updates(p, updates)
        q, whole_state = tx.step(gradients(q, 0), whole_state, q)
        if t % 2:
            expected, direct_state = direct.step(gradients(expected, 0), direct_state, expected)
        check_close(p, expected, 0)
        check_close(q, expected, 0)
        assert bits(rest(state)) == bits(rest(whole_state))


@EACH
def test_rejected_gradients_change_nothing(remedy: str) -> None:
    tx = gc.apply_if_finite(REMEDIES[remedy](inner()), 3)
    p = tree()
    state = tx.init(p)
    p, state = tx.step(gradients(p, 0), state, p)
    bad = jax.tree.map(lambda x: x * jnp.nan, gradients(p, 1))
    updates, after = tx.update(bad, state, p)
    assert not any(np.any(wide(u)) for u in jax.tree.leaves(updates))
    check_close(after.inner_state, state.inner_state, 0)


def test_lookahead_may_stand_inside() -> None:
    tx = gc.with_master_weights(gc.lookahead(inner(), 2, 0.5))
    plain = gc.lookahead(inner(), 2, 0.5)
    p, high = tree(), tree("float32")
    high = jax.tree.map(lambda x: x.astype(jnp.float32), p)
    state, high_state = tx.init(p), plain.init(high)
    for t in range(4):
        g = gradients(p, t)
        p, state = tx.step(g, state, p)
        high, high_state = plain.step(jax.tree.map(lambda x: x.astype(jnp.float32), g), high_state, high)
    check_close(state.master, high, 1e-6)
    check_close(gc.eval_params(state, p), high_state.slow_params, 1e-6)


@EACH
def test_a_compiled_step_scans_with_donated_bfloat16(remedy: str) -> None:
    traces = []
    tx = REMEDIES[remedy](inner())

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def train(p: Any, state: Any, g: Any) -> Any:
        traces.append(1)
        return jax.lax.scan(lambda carry, _: (tx.step(g, carry[1], carry[0]), None), (p, state), length=3)[
            0
        ]

    p = tree()
    before, g = signature_of((p, tx.init(p))), gradients(p, 0)
    expected, expected_state = p, tx.init(p)
    for _ in range(6):
        expected, expected_state = tx.step(g, expected_state, expected)
    state = tx.init(p)
    for _ in range(2):
        p, state = train(p, state, g)
        assert signature_of((p, state)) == before
    assert len(traces) == 1
    check_close(p, expected, 2.0**-7)


# Trees


@EACH
def test_only_low_precision_is_kept_and_others_step_as_usual(remedy: str) -> None:
    p = {
        "low": jnp.full(3, 1.5, "bfloat16"),
        "high": jnp.full(3, 1.5),
        "complex": jnp.full(2, 1 + 1j, "complex64"),
        "count": jnp.arange(2),
        "none": None,
        "still": jnp.full(2, 0.5, "float16"),
    }
    g = {**jax.tree.map(jnp.ones_like, p), "count": np.zeros(2, jax.dtypes.float0), "still": None}
    tx, plain = REMEDIES[remedy](gc.adam(1e-3)), gc.adam(1e-3)
    state = tx.init(p)
    if remedy != "random":
        assert {k for k, x in state[0].items() if x is not None} == {"low", "still"}
    others = {k: p[k] for k in ("high", "complex")}
    expected, _ = plain.step({k: g[k] for k in others}, plain.init(others), others)
    updates, updated = tx.update(g, state, p)
    stepped, state = tx.step(g, state, p)
    for new in (stepped, gc.apply_updates(p, updates)):
        check_close({k: new[k] for k in others}, expected, 0)
        assert new["none"] is None
        assert np.array_equal(new["count"], p["count"])
        assert np.array_equal(wide(new["still"]), wide(p["still"]))
    if remedy != "random":
        assert bits(state[0]["still"]) == bits(tx.init(p)[0]["still"])
    assert jax.tree.structure(updated) == jax.tree.structure(state) == jax.tree.structure(tx.init(p))


@EACH
def test_what_is_infinite_stays_so(remedy: str) -> None:
    """A mask of -inf among the parameters, say; and what overflows can be seen."""
    p = jnp.array([-jnp.inf, jnp.inf, 60_000.0, 1.0], "float16")
    tx = REMEDIES[remedy](gc.scale(1.0))
    g = jnp.array([0, 0, 8000, 0], "float16")
    updates, _ = tx.update(g, tx.init(p), p)
    stepped, _ = tx.step(g, tx.init(p), p)
    for new in (stepped, gc.apply_updates(p, updates)):
        assert new.tolist() == [-np.inf, np.inf, np.inf, 1.0]


def test_gradients_are_float32_before_any_rule() -> None:
    p, g = tree(), gradients(tree(), 0)
    tx = gc.with_master_weights(gc.sgd(0.1))  # keeps no state, so its steps have the gradients' dtype
    _, state = tx.step(g, tx.init(p), p)
    expected = jax.tree.map(lambda p, g: wide(p) - 0.1 * wide(g), p, g)
    check_close(state.master, expected, 1e-6)


def test_moments_are_float32_unless_asked() -> None:
    p = tree()
    state = gc.with_master_weights(gc.adam(1e-3)).init(p)
    assert {x.dtype for x in jax.tree.leaves(gc.tree.get(state, "mu"))} == {jnp.dtype("float32")}
    state = gc.with_master_weights(gc.adam(1e-3, mu_dtype="bfloat16")).init(p)
    assert {x.dtype for x in jax.tree.leaves(gc.tree.get(state, "mu"))} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize("remedy", ["master", "kahan"])
def test_parameters_changed_from_outside_are_followed(remedy: str) -> None:
    """By all that is kept, and no more than by a rounding where the change is as small as that."""
    tx = REMEDIES[remedy](gc.chain(gc.scale(1.0), KEPT))
    p = jnp.array([1.0, 1.0, 8.0, -3.0], "bfloat16")
    p, state = tx.step(jnp.array([1e-3, 3e-3, 0.02, -0.01]), tx.init(p), p)
    p = p.at[1].set(2.0**-6).at[2].set(2.0**-9)
    new, state = tx.step(jnp.zeros(4), state, p)
    seen = wide(state.inner_state[1])
    np.testing.assert_allclose(seen[[0, 3]], [1.001, -3.01], rtol=1e-4)
    np.testing.assert_array_equal(seen[[1, 2]], [2.0**-6, 2.0**-9])
    np.testing.assert_array_equal(wide(new), wide(p))


def test_other_parameters_than_those_of_init_are_told() -> None:
    tx = gc.kahan(gc.sgd(0.1))
    p = tree()
    state = tx.init(p)
    wider = jax.tree.map(lambda x: jnp.concatenate([x, x]), p)
    with pytest.raises(ValueError, match=r"kahan: parameter \['deep'\]\['b'\] has .*\(4,\).*\(2,\).*init"):
        tx.update(wider, state, wider)
    with pytest.raises(ValueError, match="the state has nothing for it"):
        tx.update(p, tx.init(tree("float32")), p)
    with pytest.raises(ValueError, match="kahan needs the parameters"):
        tx.update(p, state)
    with pytest.raises(ValueError, match="bits must be 24 or 32, received 16"):
        gc.with_split_weights(gc.sgd(0.1), 16)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "later",
    [gc.scale(0.5), gc.sgd(0.1), gc.scale_by_adam(), gc.add_decayed_weights(0.1), gc.clip(1.0)],
    ids=repr,
)
def test_what_would_spoil_the_landing_is_warned_of(later: Any) -> None:
    first = gc.with_master_weights(gc.adamw(1.7e-3))
    with pytest.warns(OrderWarning, match="Put it into a chain inside"):
        gc.chain(first, later)
    gc.chain(gc.clip(1.7), first, gc.ema_params(0.9))  # silent


# Readers


@EACH
def test_states_are_read_saved_and_restored(remedy: str, tmp_path: Any) -> None:
    tx = REMEDIES[remedy](
        gc.chain(gc.clip(1.0), gc.adamw(gc.linear_schedule(1e-3, 0.0, 10)), gc.ema_params(0.9))
    )
    p = tree()
    state = tx.init(p)
    for t in range(3):
        p, state = tx.step(gradients(p, t), state, p)
    assert int(gc.step_count(state)) == 3
    assert float(gc.learning_rate(tx, state)) == pytest.approx(7e-4)
    assert gc.hyperparams(tx, state)["adamw.b1"] == 0.9
    check_close(gc.eval_params(state, p), p, 0.02)
    sizes = {"master": 4, "kahan": 2, "split24": 1, "split32": 2, "random": 0}
    numbers = sum(x.size for x in jax.tree.leaves(p))
    shown = gc.describe(tx, p)
    own = sum(
        x.size * x.dtype.itemsize
        for slot in shown.slots
        if len(slot.place) == 1 and slot.like_params
        for x in jax.tree.leaves(slot.value)
    )
    assert own == numbers * sizes[remedy]
    gc.save(tmp_path / "state.safetensors", tx, state)
    restored = gc.load(tmp_path / "state.safetensors", tx, tx.init(p))
    assert bits(rest(restored)) == bits(rest(state))
    assert signature_of(restored) == signature_of(state)


class Tiny(nnx.Module):
    """A module of two parameters in bfloat16."""

    def __init__(self) -> None:
        self.w = nnx.Param(jnp.full((3, 2), 1.5, "bfloat16"))
        self.b = nnx.Param(jnp.full((2,), 1.5, "bfloat16"))


@pytest.fixture
def _as_optax_needs() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield


@EACH
@pytest.mark.usefixtures("_as_optax_needs")
def test_flax_lands_too(remedy: str) -> None:
    """In steps that are too small for bfloat16: `TrainState` and `nnx.Optimizer` add float32 updates."""
    p = {"b": jnp.full((2,), 1.5, "bfloat16"), "w": jnp.full((3, 2), 1.5, "bfloat16")}
    tx = REMEDIES[remedy](gc.adam(1e-3))
    train = TrainState.create(apply_fn=None, params=p, tx=tx)
    model = Tiny()
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    expected, state = p, tx.init(p)
    for _ in range(8):
        g = jax.tree.map(jnp.ones_like, p)
        train = train.apply_gradients(grads=g)
        optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
        expected, state = tx.step(g, state, expected)
    assert np.sum(wide(expected["w"]) < 1.5) > 2
    check_close(train.params, expected, 0)
    check_close({"b": model.b[...], "w": model.w[...]}, expected, 0)
    if remedy != "random":
        restored = flax.serialization.from_bytes(train, flax.serialization.to_bytes(train))
        assert bits(restored.opt_state) == bits(train.opt_state)
