"""The parts of a transformation: their names, their states, and what goes by their names."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from arguments import down
from cases import CASES, Case, ids
from trees import params

import gradchain as gc
from gradchain.core import parts, state_at, with_state_at


def names(tx: Any) -> list[str]:
    return [part.name for part in parts(tx)]


@pytest.mark.parametrize(
    ("tx", "expected"),
    [
        (gc.adam(0.1), ["adam"]),
        (gc.chain(gc.clip(1.0), gc.adamw(0.1)), ["clip", "adamw"]),
        (gc.chain(gc.scale(2.0), gc.chain(gc.scale(3.0), gc.sgd(0.1))), ["scale[0]", "scale[1]", "sgd"]),
        (gc.named_chain(("a", gc.clip(1.0)), ("b", gc.adam(0.1))), ["a.clip", "b.adam"]),
        (gc.apply_if_finite(gc.adam(0.1), 3), ["apply_if_finite", "adam"]),
        (
            gc.partition({"k": gc.adamw(0.1), "b": gc.sgd(0.1)}, {"w": "k", "deep": "b"}),
            ["partition", "k.adamw", "b.sgd"],
        ),
        (gc.contrib.sam(gc.sgd(0.1), gc.adam(0.1)), ["sam", "optimizer.sgd", "adv_optimizer.adam"]),
        (gc.selective_transform(gc.adam(0.1), freeze_mask=True), ["selective_transform", "adam"]),
        (gc.inject_hyperparams(gc.adam)(0.1), ["adam"]),
        (gc.chain(optax.clip(1.0), gc.lookahead(optax.sgd(0.1), 2, 0.5)), ["clip", "lookahead", "chain"]),
    ],
    ids=lambda x: "+".join(x) if isinstance(x, list) else "",
)
def test_parts_have_the_names_of_their_calls(tx: Any, expected: list[str]) -> None:
    assert names(tx) == expected


@pytest.mark.parametrize("case", **ids(CASES))
def test_states_are_where_the_parts_say(case: Case) -> None:
    """Each part's own `init` gives a state like the one at its place; putting it back changes nothing."""
    tx = case.make()
    state = jax.eval_shape(tx.init, params())
    for part in parts(tx):
        inner = state_at(state, part.place)
        again = with_state_at(state, part.place, inner)
        assert jax.tree.structure(again) == jax.tree.structure(state)
        assert jax.tree.leaves(again) == jax.tree.leaves(state)
    for part in parts(tx)[:1] if tx.factory not in (gc.chain, gc.named_chain) else ():
        assert jax.tree.structure(jax.eval_shape(part.pair.init, params())) == jax.tree.structure(state)


def test_an_argument_is_replaced_by_its_dotted_name() -> None:
    tx = gc.chain(
        gc.clip_by_global_norm(1.0),
        gc.accumulate_gradients(
            gc.partition({"k": gc.adamw(0.1), "b": gc.sgd(0.1)}, {"w": "k", "deep": "b"}), 2
        ),
    )
    new = tx.replace(
        **{"k.adamw.b1": 0.5, "accumulate_gradients.every_k": 3, "clip_by_global_norm.max_norm": 2.0}
    )
    expected = gc.chain(
        gc.clip_by_global_norm(2.0),
        gc.accumulate_gradients(
            gc.partition({"k": gc.adamw(0.1, b1=0.5), "b": gc.sgd(0.1)}, {"w": "k", "deep": "b"}), 3
        ),
    )
    assert new == expected
    structure = jax.tree.structure(jax.eval_shape(tx.init, params()))
    assert jax.tree.structure(jax.eval_shape(new.init, params())) == structure


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("adamw.learning_rat", "Did you mean 'adamw.learning_rate'"),
        ("adam.b1", "there is no 'adam.b1'; there are clip.max_delta, adamw.learning_rate"),
        ("scale.step_size", "there is no 'scale.step_size'"),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest(name: str, text: str) -> None:
    tx = gc.chain(gc.clip(1.0), gc.adamw(0.1))
    with pytest.raises(KeyError) as caught:
        tx.replace(**{name: 1.0})
    assert text in str(caught.value)


def test_hyperparameters_are_those_of_the_next_step() -> None:
    tx = gc.chain(gc.clip(2.0), gc.accumulate_gradients(gc.adamw(down, b1=0.8), 2))
    p = params()
    state = tx.init(p)
    for _ in range(5):
        _, state = tx.update(p, state, p)
    found = gc.hyperparams(tx, state)
    assert found["clip.max_delta"] == 2.0
    assert found["accumulate_gradients.every_k"] == 2
    assert found["adamw.b1"] == 0.8
    assert float(found["adamw.learning_rate"]) == float(down(2))  # after two steps
    assert float(gc.learning_rate(tx, state)) == float(down(2))


@pytest.mark.parametrize(
    "tx",
    [
        gc.named_chain(("clip", gc.clip(1.0)), ("adam", gc.adam(down))),
        gc.partition({"a": gc.adamw(down), "b": gc.set_to_zero()}, {"w": "a", "deep": "b"}),
        gc.accumulate_gradients(gc.adam(down), 1),
        gc.inject_hyperparams(gc.adam)(down),
        gc.chain(gc.clip(1.0), gc.inject_hyperparams(gc.sgd)(down)),
        gc.contrib.schedule_free_adamw(down),
        gc.tunable(gc.adamw(down)),
        gc.apply_if_finite(gc.adam(down), 3),
        gc.lookahead(gc.sgd(down), 5, 0.5),
    ],
    ids=lambda tx: tx.factory.__name__,
)
def test_the_learning_rate_is_that_of_the_coming_step(tx: Any) -> None:
    p = params()
    p = gc.LookaheadParams.init_synced(p) if tx.factory is gc.lookahead else p
    state, step = tx.init(p), jax.jit(tx.update)
    for t in range(3):
        assert float(gc.learning_rate(tx, state)) == pytest.approx(float(down(t)), rel=1e-6)
        _, state = step(params(), state, p)


def test_who_has_no_learning_rate_is_named() -> None:
    tx = gc.chain(gc.clip(1.0), gc.adafactor())
    with pytest.raises(KeyError, match="learning_rate: adafactor was given none"):
        gc.learning_rate(tx, tx.init(params()))


def test_injected_hyperparameters_are_read_from_the_state() -> None:
    tx = gc.inject_hyperparams(gc.adam)(0.1, b1=0.7)
    state = tx.init(params())
    state.hyperparams["learning_rate"] = jnp.asarray(0.25)
    found = gc.hyperparams(tx, state)
    assert float(found["adam.learning_rate"]) == 0.25
    assert float(found["adam.b1"]) == pytest.approx(0.7)


def test_what_is_ambiguous_or_does_not_belong_is_named() -> None:
    tx = gc.partition({"k": gc.adamw(0.1), "b": gc.sgd(0.1)}, {"w": "k", "deep": "b"})
    with pytest.raises(KeyError, match=r"could be k\.adamw\.learning_rate, b\.sgd\.learning_rate"):
        gc.learning_rate(tx, tx.init(params()))
    with pytest.raises(ValueError, match=r"has nothing for k\.adamw"):
        gc.hyperparams(tx, gc.adam(0.1).init(params()))


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.numbers and case.name != "chain"]))
def test_every_number_of_a_call_is_named(case: Case) -> None:
    tx = case.make()
    found = gc.hyperparams(tx, tx.init(params()))
    name = parts(tx)[0].name
    assert {f"{name}.{number}": value for number, value in case.numbers.items()}.items() <= found.items()
    assert all(jnp.ndim(value) == 0 for value in found.values())


def test_the_states_of_flax_are_taken_as_they_are() -> None:
    from flax import nnx
    from flax.training.train_state import TrainState

    tx = gc.chain(gc.clip(2.0), gc.adamw(down))
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    grads = jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param))
    state = TrainState.create(apply_fn=None, params=params(), tx=tx)
    for _ in range(2):
        optimizer.update(model, grads)
        state = state.apply_gradients(grads=params())
    for held in (state, optimizer):
        assert float(gc.learning_rate(tx, held)) == float(down(2))
