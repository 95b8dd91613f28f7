"""What a state holds, changed between two steps: hyperparameters, parts of it, its step."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arguments import down
from trees import check_close, gradients, params

import gradchain as gc
from gradchain.core import state_at
from gradchain.tools.slots import slots

CHAIN = gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(0.1))
GROUPS = gc.partition(
    {"k": gc.tunable(gc.adamw(0.1)), "b": gc.tunable(gc.sgd(0.1))}, {"w": "k", "deep": "b"}
)


def stepped(tx: Any, state: Any, p: Any, steps: int = 1) -> Any:
    step = jax.jit(tx.step)
    for t in range(steps):
        p, state = step(gradients(p, t), state, p)
    return p, state


# Hyperparameters in the state


def test_a_rate_changes_without_compiling_anew() -> None:
    tx, p, traced = gc.tunable(CHAIN), params(), []

    @jax.jit
    def step(g: Any, state: Any, p: Any) -> Any:
        traced.append(1)
        return tx.step(g, state, p)

    state = tx.init(p)
    step(gradients(p, 0), state, p)
    for rate in (0.1, 0.01):
        state = gc.set_hyperparams(state, **{"adamw.learning_rate": rate, "max_norm": 2.0})
        found, _ = step(gradients(p, 0), state, p)
        other = gc.chain(gc.clip_by_global_norm(2.0), gc.adamw(rate))
        expected, _ = jax.jit(other.step)(gradients(p, 0), other.init(p), p)
        check_close(found, expected, 1e-6)
    assert len(traced) == step._cache_size() == 1
    found = gc.hyperparams(tx, state)
    assert float(found["adamw.learning_rate"]) == pytest.approx(0.01)
    assert float(found["clip_by_global_norm.max_norm"]) == 2.0


def test_groups_are_told_apart_by_their_labels() -> None:
    state = GROUPS.init(params())
    state = gc.set_hyperparams(state, **{"k.adamw.learning_rate": 0.5, "sgd.learning_rate": 0.25})
    found = gc.hyperparams(GROUPS, state)
    assert float(found["k.adamw.learning_rate"]) == 0.5
    assert float(found["b.sgd.learning_rate"]) == 0.25
    with pytest.raises(KeyError, match=r"'learning_rate' could be .*k\.adamw\.learning_rate"):
        gc.set_hyperparams(state, learning_rate=1.0)


def test_injected_hyperparameters_are_set_too() -> None:
    tx = gc.chain(gc.clip(1.0), gc.inject_hyperparams(gc.adam)(0.1))
    state = gc.set_hyperparams(tx.init(params()), learning_rate=0.3)
    assert float(gc.learning_rate(tx, state)) == pytest.approx(0.3)
    state = gc.set_hyperparams(state, **{"adam.b1": 0.5})  # as hyperparams(tx, state) names it
    assert float(gc.hyperparams(tx, state)["adam.b1"]) == 0.5


def test_hyperparameters_keep_their_dtype_and_take_one_value_for_each_run() -> None:
    tx, p = gc.tunable(CHAIN), params("bfloat16")
    state = gc.set_hyperparams(tx.init(p), **{"adamw.b2": 0.999})
    assert state.hyperparams["adamw.b2"].dtype == jnp.float32  # in bfloat16 it would be 1
    states = jax.vmap(lambda _: tx.init(params()))(jnp.arange(3))
    states = gc.set_hyperparams(states, **{"adamw.learning_rate": np.array([0.1, 0.2, 0.3], np.float32)})
    assert states.hyperparams["adamw.learning_rate"].shape == (3,)


def test_a_traced_value_passes() -> None:
    state = gc.tunable(CHAIN).init(params())
    new = jax.jit(lambda s, x: gc.set_hyperparams(s, **{"adamw.b1": x}))(state, 0.25)
    assert float(new.hyperparams["adamw.b1"]) == 0.25


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"adamw.learning_rat": 1.0}, KeyError, "Did you mean 'adamw.learning_rate'"),
        ({"b1": "a"}, ValueError, "b1 must be one number, received 'a'"),
        ({"b1": True}, ValueError, "b1 must be one number, received True"),
        ({"b1": np.ones(3)}, ValueError, "b1 must be one number"),
        ({"b1": float("nan")}, ValueError, "b1 must be finite, received nan"),
    ],
)
def test_bad_values_are_refused_and_the_state_stays(values: Any, error: type[Exception], text: str) -> None:
    state = gc.tunable(CHAIN).init(params())
    before = dict(state.hyperparams)
    with pytest.raises(error, match=text):
        gc.set_hyperparams(state, **values)
    assert state.hyperparams == before


def test_a_state_without_hyperparameters_says_how_to_get_some() -> None:
    with pytest.raises(KeyError, match=r"Make the transformation with tunable\(\.\.\.\)"):
        gc.set_hyperparams(CHAIN.init(params()), learning_rate=1.0)


def test_the_states_of_flax_are_changed_too() -> None:
    from flax.training.train_state import TrainState

    state = TrainState.create(apply_fn=None, params=params(), tx=gc.tunable(CHAIN))
    state = gc.set_hyperparams(state, **{"adamw.learning_rate": 0.5})
    assert float(gc.hyperparams(state.tx, state)["adamw.learning_rate"]) == 0.5


def test_an_nnx_optimizer_is_changed_itself() -> None:
    from flax import nnx

    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, gc.tunable(gc.sgd(0.1)), wrt=nnx.Param)
    before = model.kernel[...]
    assert gc.set_hyperparams(optimizer, learning_rate=0.5) is optimizer
    optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
    np.testing.assert_allclose(model.kernel[...], before - 0.5, rtol=1e-6)


def test_schedule_free_evaluates_with_the_weight_in_use() -> None:
    tx, p = gc.tunable(gc.schedule_free(gc.sgd(0.1), 0.1, b1=0.9)), params()
    state = gc.set_hyperparams(tx.init(p), **{"schedule_free.b1": 0.5})
    p, state = stepped(tx, state, p)
    assert float(state.inner_state.b1) == 0.5


# Steps


def test_steps_are_counted_wherever_they_are() -> None:
    p = params()
    for tx, steps in [
        (CHAIN, 5),
        (gc.accumulate_gradients(CHAIN, 2), 2),
        (gc.schedule_free(gc.sgd(0.1), 0.1), 5),
        (GROUPS, 5),
        (gc.inject_hyperparams(gc.sgd)(0.1), 5),
        (gc.chain(gc.clip(1.0), gc.contrib.simplified_ademamix(0.1)), 5),
    ]:
        _, state = stepped(tx, tx.init(p), p, 5)
        assert int(gc.step_count(state)) == steps
    with pytest.raises(ValueError, match="nothing in the state counts steps"):
        gc.step_count(gc.sgd(0.1).init(p))


def test_a_schedule_goes_on_from_the_step_it_is_set_to() -> None:
    tx = gc.chain(gc.clip(2.0), gc.accumulate_gradients(gc.adamw(down), 2))
    p = params()
    _, state = stepped(tx, tx.init(p), p, 4)
    moved = gc.set_step(tx, state, 10)
    assert int(gc.step_count(moved)) == 10
    assert float(gc.learning_rate(tx, moved)) == float(down(10))
    check_close(moved[1].inner_opt_state[0].mu, state[1].inner_opt_state[0].mu, 0)
    offset = gc.scale_by_factored_rms(step_offset=3)
    assert int(gc.step_count(gc.set_step(offset, offset.init(p), 2))) == 5
    for n in (-1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="n must be a whole number"):
            gc.set_step(tx, state, n)


def test_a_plateau_counts_no_steps() -> None:
    tx, p = gc.contrib.reduce_on_plateau(accumulation_size=4), params()
    _, state = tx.update(p, tx.init(p), p, value=jnp.ones(()))
    check_close(gc.set_step(tx, state, 9), state, 0)


# Beginning anew


def test_a_link_begins_anew() -> None:
    p = params()
    _, state = stepped(CHAIN, CHAIN.init(p), p, 3)
    check_close(gc.reset(CHAIN, state, p, "adamw"), CHAIN.init(p), 0)


def test_a_group_begins_anew_and_the_other_goes_on() -> None:
    p = params()
    tx = gc.partition({"k": gc.adam(0.1), "b": gc.adam(0.1)}, {"w": "k", "deep": "b"})
    _, state = stepped(tx, tx.init(p), p, 3)
    found = gc.reset(tx, state, p, "k").inner_states
    check_close(found["k"], tx.init(p).inner_states["k"], 0)
    check_close(found["b"], state.inner_states["b"], 0)


def test_a_layer_begins_anew_and_counts_stay() -> None:
    p = params()
    tx = gc.chain(gc.clip(1.0), gc.masked(gc.adam(0.1), {"w": True, "deep": True}))
    _, state = stepped(tx, tx.init(p), p, 3)
    found = gc.reset(tx, state, p, r"deep/0/.*")[1].inner_state[0]
    old = state[1].inner_state[0]
    assert int(found.count) == 3
    check_close(found.mu["deep"][0], jax.tree.map(jnp.zeros_like, old.mu["deep"][0]), 0)
    check_close(found.mu["deep"][1], old.mu["deep"][1], 0)
    check_close(found.nu["w"], old.nu["w"], 0)


def test_several_arrays_are_kept_for_one_parameter() -> None:
    p, tx = params(), gc.sm3(0.5)
    _, state = stepped(tx, tx.init(p), p, 3)
    slot = next(s for s in slots(tx, state) if s.name == "mu")
    found = state_at(gc.reset(tx, state, p, "w"), slot.place)
    check_close(found["w"], jax.tree.map(jnp.zeros_like, slot.value["w"]), 0)
    check_close(found["deep"], slot.value["deep"], 0)
    assert all(float(jnp.max(x)) > 0 for x in slot.value["w"])


MATRICES = {"w": jnp.eye(4, 3) + 1, "deep": {"v": jnp.eye(3) + 1, "b": jnp.ones(3)}}


@pytest.mark.parametrize(
    "tx",
    [
        gc.soap(0.1, precondition_frequency=3),
        gc.kl_soap(0.1, precondition_frequency=3),
        gc.shampoo(0.1, precondition_frequency=1, max_precond_dim=3, merge_dims=False),  # two blocks
        gc.aggmo(0.1),
        gc.dion(0.1),
        gc.dion2(0.1, 0.5, b2=0.9),
    ],
    ids=lambda tx: tx.factory.__name__,
)
def test_all_arrays_of_a_parameter_begin_anew_together(tx: Any) -> None:
    """Also those of other shapes, and several of them; the others, and the counts, go on."""
    p, state = stepped(tx, tx.init(MATRICES), MATRICES, 4)
    found, fresh = gc.reset(tx, state, p, "w"), tx.init(p)
    kept = [slot.place for slot in slots(tx, state) if slot.like_params]
    assert kept
    for place in kept:
        old, new, start = (state_at(tree, place) for tree in (state, found, fresh))
        check_close(new["w"], start["w"], 0)
        check_close(new["deep"], old["deep"], 0)
        moved = [np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (old["w"], start["w"])), strict=True)]
        assert all(moved) or place[-1] == "nu"  # Shampoo's may have no entries
    updates, _ = tx.update(MATRICES, found, p)
    assert float(jnp.max(jnp.abs(updates["w"]))) > 1e-3  # no step is lost until a basis is renewed


@pytest.mark.parametrize(
    "tx",
    [
        gc.lawa_params(4),
        gc.power_ema_params([0.25]),
        gc.ema_params(0.9),
        gc.swa_params(),
        gc.tail_ema_params(0),
        gc.masked(gc.lawa_params(2), {"w": True, "deep": False}),
    ],
    ids=repr,
)
def test_an_average_begins_anew_at_the_present_parameters(tx: Any) -> None:
    """The weight of the average is that of all parameters: a sum of 0 would stand for parameters of 0."""
    tx = gc.chain(gc.sgd(5.0), tx)
    p, state = stepped(tx, tx.init(MATRICES), MATRICES, 3)
    before, after = (gc.eval_params(s, p) for s in (state, gc.reset(tx, state, p, "w")))
    check_close(after["w"], p["w"], 1e-6)
    assert float(jnp.max(jnp.abs(before["w"] - p["w"]))) > 1e-2
    check_close(after["deep"], before["deep"], 0)


def test_what_fits_nothing_is_named() -> None:
    p = params()
    state = CHAIN.init(p)
    with pytest.raises(
        ValueError, match=r"fits nothing; the parts are clip_by_global_norm, adamw.*deep/0/b"
    ):
        gc.reset(CHAIN, state, p, "adam")
    with pytest.raises(ValueError, match="is no regular expression"):
        gc.reset(CHAIN, state, p, "dee[p")
