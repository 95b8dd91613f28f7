"""map_params knows which parts of a state follow the parameters, for pairs of any library."""

import jax
import jax.numpy as jnp
import optax
import pytest

import gradchain as gc
from gradchain import tree as gt

PARAMS = {"w": jnp.ones((2, 2)), "deep": [jnp.zeros(2), (jnp.ones(()), None)]}
NAMES = {"w": "w", "deep": ["first", ("second", None)]}
SCHEDULE = gc.schedules.cosine_decay_schedule(0.1, 10)


def both(build):
    return [build(gc), build(optax)]


def mask(tree):
    return jax.tree.map(lambda x: x.ndim > 0, tree)


TRANSFORMATIONS = {
    name: tx
    for label, build in {
        "sgd": lambda lib: lib.sgd(0.1, momentum=0.9),
        "adam": lambda lib: lib.adam(0.1),
        "scheduled": lambda lib: lib.adam(SCHEDULE),
        "adamw": lambda lib: lib.adamw(SCHEDULE, weight_decay=0.1),
        "masked decay": lambda lib: lib.adamw(0.1, mask=mask),
        "nadam": lambda lib: lib.nadam(0.1),
        "adamax": lambda lib: lib.adamax(0.1),
        "adagrad": lambda lib: lib.adagrad(0.1),
        "adadelta": lambda lib: lib.adadelta(0.1),
        "rmsprop": lambda lib: lib.rmsprop(0.1, centered=True, momentum=0.9),
        "chain": lambda lib: lib.chain(lib.clip(1.0), lib.ema(0.9), lib.adam(0.1), lib.scale(2.0)),
        "named": lambda lib: lib.named_chain(("first", lib.trace(0.9)), ("then", lib.adam(0.1))),
    }.items()
    for name, tx in zip((f"{label} ours", f"{label} theirs"), both(build), strict=True)
}


@pytest.mark.parametrize("tx", TRANSFORMATIONS.values(), ids=TRANSFORMATIONS)
def test_it_finds_what_optax_finds(tx):
    state = tx.init(PARAMS)

    def ours(*rest, **kwargs):
        return gt.map_params(tx, lambda leaf, *names: names or "param", state, *rest, **kwargs)

    theirs = optax.tree.map_params(tx, lambda leaf: "param", state, transform_non_params=lambda _: "other")
    assert ours(transform_non_params=lambda _: "other") == theirs
    named = {n for n in jax.tree.leaves(ours(NAMES)) if isinstance(n, str)}
    assert named <= {"w", "first", "second"}


def test_each_leaf_meets_its_parameters_partner():
    tx = gc.adam(0.1)
    state = gt.map_params(tx, lambda leaf, name: name, tx.init(PARAMS), NAMES)
    assert state[0].mu == state[0].nu == NAMES
    assert state[0].count == 0


@pytest.mark.parametrize(
    "build",
    [
        lambda mask: gc.masked(gc.adam(0.1), mask),
        lambda mask: optax.masked(optax.adam(0.1), mask),
        lambda mask: gc.chain(optax.masked(optax.adam(0.1), mask), gc.scale(1.0)),
        lambda mask: optax.chain(gc.masked(gc.adam(0.1), mask), gc.scale(1.0)),
    ],
    ids=["ours", "theirs", "theirs in ours", "ours in theirs"],
)
@pytest.mark.parametrize("as_function", [True, False], ids=["function", "tree"])
def test_masked_leaves_are_passed_over(build, as_function):
    tx = build(mask if as_function else mask(PARAMS))
    state = gt.map_params(tx, lambda leaf, name: name, tx.init(PARAMS), NAMES)
    assert jax.tree.leaves(gt.get(state, "mu")) == ["first", "w"]
    assert gt.get(state, "count") == 0


def test_is_leaf_may_claim_the_masked_nodes():
    tx = optax.masked(optax.adam(0.1), mask)

    def claims(x):
        return isinstance(x, optax.MaskedNode)

    state = gt.map_params(tx, lambda leaf, name: name, tx.init(PARAMS), NAMES, is_leaf=claims)
    assert gt.get(state, "mu") == NAMES


def test_a_sharding_like_tree_has_the_structure_of_the_state():
    tx = gc.adamw(SCHEDULE)
    shapes = jax.eval_shape(tx.init, PARAMS)
    specs = gt.map_params(
        tx, lambda leaf, name: name, shapes, NAMES, transform_non_params=lambda leaf: "replicated"
    )
    assert jax.tree.structure(specs) == jax.tree.structure(shapes)


def test_a_foreign_state_is_refused():
    with pytest.raises(ValueError, match=r"map_params: .*structure"):
        gt.map_params(gc.adam(0.1), lambda leaf: leaf, gc.sgd(0.1).init(PARAMS))
    state = gc.adam(0.1).init(PARAMS)
    with pytest.raises(ValueError, match=r"map_params: .*\['deep'\]"):
        gt.map_params(gc.adam(0.1), lambda leaf, name: leaf, state, {"w": "w"})
