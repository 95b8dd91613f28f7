"""Weights in low precision in company: other wrappers, trees of all kinds, Flax, and what reads states."""

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
from test_weights import EACH, KEPT, REMEDIES, bits, rest
from trees import check_close, gradients, params, signature_of, wide, worst

import gradchain as gc
from gradchain.core import OrderWarning


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
            high, high_state = plain.step(g, high_state, high)
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
