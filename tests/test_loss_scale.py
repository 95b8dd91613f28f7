"""The dynamic loss scale: it shrinks and grows by its rule, skips whole steps, and float16 learns by it."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.training.dynamic_scale import DynamicScale
from flax.training.train_state import TrainState
from trees import check_close, gradients, params, signature_of, wide

import gradchain as gc
from gradchain.tools import measurements


def scaled(tx: Any = None, **changes: Any) -> Any:
    settings = {"init_scale": 8.0, "growth_interval": 3, "max_scale": 64.0, "min_scale": 2.0}
    return gc.dynamic_loss_scale(gc.sgd(0.1, 0.9) if tx is None else tx, **(settings | changes))


def walk(tx: Any, finite: str, dtype: Any = "float32") -> Iterator[tuple[Any, Any]]:
    """Parameters and states along steps whose gradients are finite ("+") or have an infinity ("-")."""
    p = params(dtype)
    state = tx.init(p)
    for t, sign in enumerate(finite):
        g = gradients(p, t)
        if sign == "-":
            g["w"] = g["w"].at[0, 0].set(jnp.inf if t % 2 else jnp.nan)
        p, state = tx.step(g, state, p)
        yield p, state


def test_the_scale_follows_its_rule() -> None:
    states = [s for _, s in walk(scaled(), "+++++-++++++++++---------")]
    grown = [8, 8, 16, 16, 16, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64]
    assert [float(s.scale) for s in states] == [*grown, 32, 16, 8, 4, 2, 2, 2, 2, 2]
    assert [int(s.good_steps) for s in states[:9]] == [1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert [int(s.skipped) for s in states[:7]] == [0, 0, 0, 0, 0, 1, 1]
    assert [bool(s.last_finite) for s in states[4:7]] == [True, False, True]
    assert measurements(states[-1]) == {"loss_scale": 2.0, "skipped": 10}
    most = [s for _, s in walk(scaled(), "+" * 16)][-1]
    assert float(most.scale) == 64
    assert signature_of(most) == signature_of(scaled().init(params()))


def test_it_is_flaxs_rule() -> None:
    """Flax grows one step later than it says: its interval of n is one of n + 1 good steps."""
    finite = "++-+++++--+++++++++-+-++++++++++++"
    tx = scaled(growth_interval=3, growth_factor=3.0, backoff_factor=0.25, max_scale=2.0**20, min_scale=0.5)
    theirs = DynamicScale(growth_factor=3.0, backoff_factor=0.25, growth_interval=2, scale=8.0,
                          minimum_scale=0.5)  # fmt: skip
    ours = [float(s.scale) for _, s in walk(tx, finite)]
    found = []
    with jax.numpy_dtype_promotion("standard"):
        for sign in finite:
            factor = jnp.float32(1.0 if sign == "+" else jnp.inf)
            theirs, is_finite, _, grads = theirs.value_and_grad(lambda x, f=factor: f * x)(jnp.float32(1.0))
            assert bool(is_finite) == (sign == "+")
            assert not is_finite or float(grads) == 1.0
            found.append(float(theirs.scale))
    assert ours == found
    assert len(set(ours)) > 5


@pytest.mark.parametrize("whole", [False, True], ids=["update", "step"])
def test_a_skipped_step_touches_nothing(whole: bool) -> None:
    tx = scaled(gc.with_master_weights(gc.adam(0.1)))
    p = params("float16")
    state = tx.init(p)
    p, state = tx.step(gradients(p, 0), state, p)
    bad = gradients(p, 1)
    bad["deep"][1][0] = jnp.float16(jnp.inf)
    result, after = tx.run(whole, bad, state, p)
    new = result if whole else gc.apply_updates(p, result)
    check_close((new, after.inner_state), (p, state.inner_state), 0)
    assert (float(after.scale), int(after.skipped)) == (4.0, 1)
    # What is skipped is not computed: one conditional holds parameters and state.
    text = str(jax.make_jaxpr(tx.step)(bad, state, p))
    assert text.count("cond[") == 1


def test_gradients_are_divided_in_float32() -> None:
    """Of 1e-3 / 2**15 float16 would leave half a number; the updates have what it takes."""
    tx = gc.dynamic_loss_scale(gc.scale(-1.0))
    p = {"w": jnp.ones(3, "float16")}
    g = {"w": jnp.full(3, 1e-3, "float16")}
    updates, _ = tx.update(g, tx.init(p), p)
    assert updates["w"].dtype == jnp.float32
    np.testing.assert_allclose(wide(updates["w"]), -wide(g["w"]) / 2**15, rtol=1e-6)
    assert tx.update(g, tx.init(p))[0]["w"].tolist() == updates["w"].tolist()
    seen, _ = tx.update({"w": jnp.full(3, 1e-3)}, tx.init({"w": jnp.ones(3)}), {"w": jnp.ones(3)})
    np.testing.assert_allclose(wide(seen["w"]), -1e-3 / 2**15, rtol=1e-6)


def test_absent_gradients_pass() -> None:
    tx, p = scaled(), {"w": jnp.ones(2), "n": jnp.arange(2), "o": jnp.ones(2)}
    g = {"w": jnp.ones(2), "n": np.zeros(2, jax.dtypes.float0), "o": None}
    updates, state = tx.update(g, tx.init(p), p)
    stepped, _ = tx.step(g, tx.init(p), p)
    for new in (stepped, gc.apply_updates(p, updates)):
        check_close(new, {"w": p["w"] - 0.1 / 8, "n": p["n"], "o": p["o"]}, 1e-6)
    assert int(state.good_steps) == 1


# scale_loss


def test_the_loss_is_scaled_in_float32_wherever_the_state_is() -> None:
    p = params("float16")
    tx = gc.chain(gc.identity(), gc.masked(scaled(gc.adam(0.1)), {"w": True, "deep": False}))
    loss = gc.scale_loss(jnp.float16(60_000.0), tx.init(p))
    assert loss.dtype == jnp.float32
    assert loss == 480_000.0
    assert gc.scale_loss(2.5, scaled().init(p)) == 20.0
    slope = jax.grad(lambda x: gc.scale_loss(x, scaled().init(p)))(jnp.float16(1.0))
    assert slope == 8.0
    assert slope.dtype == jnp.float16


def test_states_without_a_scale_or_with_two_are_told() -> None:
    p = params()
    with pytest.raises(ValueError, match=r"scale_loss: expected .* one with none. Wrap the whole"):
        gc.scale_loss(1.0, gc.adam(0.1).init(p))
    for two in (gc.chain(scaled(), scaled()), scaled(scaled())):
        with pytest.raises(ValueError, match="one with 2 of them"):
            gc.scale_loss(1.0, two.init(p))
    with pytest.raises(
        ValueError, match=r"init_scale must be from min_scale=2.0 to max_scale=64.0, received 1"
    ):
        scaled(init_scale=1.0)
    for wrong in (
        {"backoff_factor": 1.5},
        {"growth_factor": 0.5},
        {"growth_interval": 0},
        {"min_scale": 0.0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            scaled(**wrong)


class Tiny(nnx.Module):
    """A module of one parameter."""

    def __init__(self) -> None:
        self.w = nnx.Param(jnp.full((3, 2), 1.5, "float16"))


def test_flaxs_states_are_found() -> None:
    with jax.numpy_dtype_promotion("standard"):
        tx = scaled(gc.with_master_weights(gc.sgd(1e-5)))
        train = TrainState.create(apply_fn=None, params={"w": jnp.full((3, 2), 1.5, "float16")}, tx=tx)
        model = Tiny()
        optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
        for _ in range(50):  # steps of 3e-5, of which float16 alone has none

            def loss(w: Any) -> Any:
                return jnp.sum(w * w)

            g = jax.grad(lambda p: gc.scale_loss(loss(p["w"]), train))(train.params)  # noqa: B023
            train = train.apply_gradients(grads=g)
            g = nnx.grad(lambda m: gc.scale_loss(loss(m.w[...]), optimizer))(model)
            optimizer.update(model, g)
    assert np.all(wide(train.params["w"]) < 1.4990)
    check_close(model.w[...], train.params["w"], 0)
    assert gc.scale_loss(1.0, train) == gc.scale_loss(1.0, optimizer) == 64.0


# Training


def train(tx: Any, steps: int = 400) -> tuple[float, Any]:
    """The loss after some steps of a small network in float16, of its start's; and the last state.

    Outputs are divided by 1024, and so are their gradients, which float16 does not hold then.
    """
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(32, 4)), "float16")
    y = jnp.asarray(1e-3 * np.tanh(rng.normal(size=(32, 4)) + x.astype(jnp.float32)), "float32")
    p = {"a": jnp.asarray(rng.normal(size=(4, 8)) * 0.5, "float16"), "b": jnp.zeros((8, 4), "float16")}

    def loss(p: Any) -> Any:
        out = (jnp.tanh(x @ p["a"]) @ p["b"]).astype(jnp.float32) / 1024
        return jnp.mean((out - y) ** 2)

    @jax.jit
    def run(p: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            p, state = carry
            has_scale = isinstance(state, gc.DynamicLossScaleState)
            grads = jax.grad(lambda p: gc.scale_loss(loss(p), state) if has_scale else loss(p))(p)
            return tx.step(grads, state, p, value=loss(p)), None

        return jax.lax.scan(step, (p, tx.init(p)), length=steps)[0]

    new, state = run(p)
    return float(loss(new) / loss(p)), state


def test_float16_learns_with_a_scale_and_stands_still_without() -> None:
    plain = gc.with_master_weights(gc.chain(gc.clip_by_global_norm(1.0), gc.adam(0.01, eps=1e-12)))
    without, _ = train(plain)
    learned, state = train(gc.dynamic_loss_scale(plain, 2.0**60, growth_interval=50, max_scale=2.0**60))
    assert without > 0.999
    assert learned < 0.35
    assert 0 < int(state.skipped) < 40
    assert 2.0**20 < float(state.scale) < 2.0**60
