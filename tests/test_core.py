"""The core: arguments are frozen when bound, pairs never change, rules are told what they did wrong."""

import copy
import functools
import gc as garbage
import sys
import textwrap
import weakref
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from trees import check_close, gradients, params

import gradchain as gc


class Mean(NamedTuple):
    """A state of a user's own rule."""

    count: Any
    mean: Any


def one_step(tx: Any, p: Any = None) -> Any:
    """The updates of the first step."""
    p = params() if p is None else p
    return tx.update(gradients(p, 0), tx.init(p), p)[0]


# What is bound is frozen


def test_a_mask_changed_later_changes_nothing() -> None:
    mask = {"w": True, "b": True}
    first = gc.masked(gc.scale(2.0), mask)
    mask["b"] = False
    assert gc.masked(gc.scale(2.0), {"w": True, "b": True}) == first
    assert gc.masked(gc.scale(2.0), mask) != first
    p = {"w": jnp.ones(2), "b": jnp.ones(2)}
    check_close(first.update(p, first.init(p))[0], {"w": 2 * p["w"], "b": 2 * p["b"]}, 0)


def test_labels_and_nested_containers_are_frozen() -> None:
    labels, txs = {"w": "a", "deep": ["b", "b"]}, {"a": gc.sgd(1.0), "b": gc.sgd(2.0)}
    tx = gc.partition(txs, labels)
    text = repr(tx)
    labels["deep"][0] = "a"
    txs["a"] = gc.sgd(3.0)
    assert repr(tx) == text


def test_numpy_arrays_are_copied_and_compared_by_value() -> None:
    rows = np.ones((5, 3), np.float32)
    tx = gc.contrib.scale_by_muon(rows)
    rows[:] = 0
    assert tx == gc.contrib.scale_by_muon(np.ones((5, 3), np.float32))
    assert tx != gc.contrib.scale_by_muon(rows)


def test_the_arguments_one_reads_are_copies() -> None:
    tx = gc.masked(gc.scale(2.0), {"w": True})
    tx.arguments["mask"]["w"] = False
    assert tx == gc.masked(gc.scale(2.0), {"w": True})


def test_a_pair_never_changes() -> None:
    tx = gc.adam(1e-3)
    with pytest.raises(AttributeError, match="does not change"):
        tx.rule = None
    with pytest.raises(AttributeError):
        tx.update = None  # type: ignore[method-assign]


# Caches keep nothing alive


def test_no_cache_keeps_what_closes_over_a_traced_value() -> None:
    @jax.jit
    def train(rate: jax.Array) -> Any:
        tx = gc.chain(
            gc.scale_by_adam(b1=lambda count: rate * 0.5), gc.scale_by_learning_rate(lambda c: rate)
        )
        return one_step(tx)

    with jax.checking_leaks():
        assert np.all(np.isfinite(train(0.1)["w"]))


def test_no_cache_keeps_what_a_factory_made_during_a_trace() -> None:
    @gc.transformation
    def half() -> Any:
        number = jnp.float32(0.5) * 1  # during a trace, a tracer
        return gc.stateless(lambda updates, params: jax.tree.map(lambda g: g * number, updates))

    jax.jit(lambda: one_step(half()))()
    check_close(one_step(half()), jax.tree.map(lambda g: g / 2, gradients(params(), 0)), 1e-7)


def test_arrays_given_as_arguments_are_not_kept_alive() -> None:
    class Big:
        """What an argument closes over."""

    big = Big()
    seen = weakref.ref(big)
    tx = gc.masked(gc.scale(2.0), lambda tree, big=big: jax.tree.map(lambda _: True, tree))
    one_step(tx)
    del tx, big
    garbage.collect()
    assert seen() is None


# Factories of every kind


class Maker:
    """A callable object, and one with a method, that make transformations."""

    def __call__(self, learning_rate: float) -> Any:
        return gc.sgd(learning_rate)

    def make(self, learning_rate: float, b1: float = 0.9) -> Any:
        return gc.adam(learning_rate, b1)


@pytest.mark.parametrize(
    ("factory", "plain"),
    [
        (functools.partial(gc.adam, b1=0.8), gc.adam(0.1, b1=0.8)),
        (Maker().make, gc.adam(0.1)),
        (Maker(), gc.sgd(0.1)),
    ],
    ids=["partial", "method", "object"],
)
def test_any_callable_is_a_factory_to_inject(factory: Any, plain: Any) -> None:
    tx = gc.inject_hyperparams(factory)(0.1)
    assert tx.init(params()).hyperparams["learning_rate"] == np.float32(0.1)
    check_close(one_step(tx), one_step(plain), 1e-6)
    assert copy.copy(tx) == tx


def test_partials_are_compared_and_printed_by_value() -> None:
    make = lambda: gc.inject_hyperparams(functools.partial(gc.adam, b1=0.8))(0.1)  # noqa: E731
    assert make() == make()
    assert "functools.partial(adam, b1=0.8)" in repr(make())


# Numbers are declared by annotations, also where these are strings

POSTPONED = textwrap.dedent("""
    from __future__ import annotations
    import gradchain as gc, jax.numpy as jnp
    from test_core import Mean

    @gc.transformation
    def scaled_mean(rate: gc.Hyperparameter = 0.1, unused: NoSuchName | None = None):
        def init(p):
            return Mean(count=0, mean=jnp.zeros_like(p))

        def update(g, s, p):
            return -rate * g, s._replace(mean=g)

        return gc.leafwise(init, update)
""")


def test_postponed_annotations_take_schedules_too() -> None:
    names: dict[str, Any] = {"__name__": "users_module"}
    exec(POSTPONED, names)
    tx, p = names["scaled_mean"](lambda count: 1.0 * count), {"w": jnp.ones(2)}
    updates, state = tx.update(p, tx.init(p), p)
    check_close(updates, {"w": jnp.zeros(2)}, 0)
    check_close(tx.update(p, state, p)[0], {"w": -jnp.ones(2)}, 1e-7)


def test_help_shows_types_by_their_names() -> None:
    import inspect

    shown = str(inspect.signature(gc.adam))
    assert "learning_rate: ScalarOrSchedule" in shown
    assert "mu_dtype: DTypeLike | None" in shown
    assert "Union" not in shown
    for argument in inspect.signature(gc.adamw).parameters:
        assert f"\n    {argument}: " in gc.adamw.__doc__


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: gc.adam(0.1, mu_dtype="int64"), TypeError, "mu_dtype must be floating point or complex"),
        (
            lambda: gc.sgd(10**400),
            ValueError,
            "learning_rate must be finite, received an integer of 401 digits",
        ),
        (lambda: gc.lion(0.1, mask=True, weight_decay_mask=True), ValueError, "two names of one argument"),
    ],
)
def test_bad_numbers_are_named(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_mask_is_the_same_under_both_names() -> None:
    assert gc.lion(0.1, weight_decay_mask={"w": True}) == gc.lion(0.1, mask={"w": True})


# A pair prints as code and is replaced by its arguments


@pytest.mark.parametrize("rate", [jnp.asarray(0.5), jnp.float32(0.1), np.float32(0.1), jnp.bfloat16(0.5)])
def test_scalar_arrays_print_as_numbers(rate: Any) -> None:
    tx = gc.sgd(rate)
    assert eval(repr(tx), dict(vars(gc))) == tx
    assert tx.arguments["learning_rate"] in (0.1, 0.5)


def test_links_of_a_chain_are_replaced() -> None:
    tx = gc.chain(gc.clip(1.0), gc.adam(0.1))
    assert tx.replace(args=tx.links[1:]) == gc.chain(gc.adam(0.1))
    if sys.version_info >= (3, 13):
        assert copy.replace(tx, args=tx.links[1:]) == gc.chain(gc.adam(0.1))
    assert gc.adam(0.1).__replace__(b1=0.8) == gc.adam(0.1, b1=0.8)


# Rules that break their contract are told so


def test_a_rule_nested_in_another_function_has_its_own_name() -> None:
    def main() -> Any:
        @gc.transformation
        def nested() -> Any:
            def init(p: Any) -> Mean:
                return Mean(count=0, mean=jnp.zeros_like(p))

            def update(g: Any, s: Mean, p: Any) -> Any:
                return g, s._replace(mean=g)

            return gc.leafwise(init, update)

        return nested()

    tx, p = main(), params()
    with pytest.raises(ValueError, match=r"^nested: gradient \['w'\] has shape"):
        tx.update(gradients(p, 0) | {"w": jnp.ones((2, 2))}, tx.init(p), p)


def broken(init: Any, update: Any) -> Any:
    """A rule by these functions, under the name `broken`."""
    return gc.leafwise(init, update, name="broken")


def test_a_rule_must_keep_to_its_state() -> None:
    tx = broken(lambda p: (jnp.zeros_like(p), 1), lambda g, s, p: (g, s))
    with pytest.raises(TypeError, match=r"broken: init must return a NamedTuple, received tuple"):
        tx.init(params())
    tx = broken(lambda p: Mean(count=0, mean=p), lambda g, s, p: (g, (g,)))
    with pytest.raises(TypeError, match=r"broken: update must return \(u, Mean\), received tuple"):
        tx.update(gradients(params(), 0), tx.init(params()))
    with pytest.raises(ValueError, match=r"scale_by_adam: the state must be the one that init gives"):
        gc.scale_by_adam().update(params(), {"count": 0})


# Derivatives with respect to decays


def test_derivatives_by_decays_are_optaxs() -> None:
    def after_one(tx: Any) -> Any:
        p = {"w": jnp.zeros(())}
        return tx.update({"w": jnp.ones(())}, tx.init(p), p)[0]["w"]

    for decay in (0.9, 0.99, 0.999):
        ours = jax.grad(lambda d: after_one(gc.ema(d, debias=False)))(jnp.float32(decay))
        assert ours == -1.0

    def after_three(module: Any, b1: Any) -> Any:
        tx = module.inject_hyperparams(module.adam)(0.1)
        p = {"w": jnp.array([1.0, -2.0])}
        state = tx.init(p)
        state = state._replace(hyperparams=state.hyperparams | {"b1": b1})
        for step in range(3):
            updates, state = tx.update(gradients(p, step), state, p)
            p = module.apply_updates(p, updates)
        return jnp.sum(p["w"] ** 2)

    with jax.numpy_dtype_promotion("standard"):
        theirs = jax.grad(lambda b1: after_three(optax, b1))(jnp.float32(0.9))
        ours = jax.grad(lambda b1: after_three(gc, b1))(jnp.float32(0.9))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert abs(theirs) > 1e-4


# Updates are as wide as what they change


@pytest.mark.parametrize("name", ["adam", "adamw", "lion", "rmsprop", "adagrad", "yogi", "prodigy"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_float32_parameters_get_float32_updates(name: str, dtype: str) -> None:
    factory = getattr(gc, name, None) or getattr(gc.contrib, name)
    tx, p = factory(0.1), params()
    g = jax.tree.map(lambda x: x.astype(dtype), gradients(p, 0))
    assert all(u.dtype == jnp.float32 for u in jax.tree.leaves(tx.update(g, tx.init(p), p)[0]))


def test_a_small_decay_is_not_lost() -> None:
    tx, p = gc.adamw(1.0, weight_decay=1e-4), {"w": jnp.full(3, 100.0)}
    g = {"w": jnp.full(3, 0.5, jnp.bfloat16)}
    check_close(tx.update(g, tx.init(p), p)[0], {"w": jnp.full(3, -1.01)}, 1e-5)


def test_the_state_tells_the_dtype_of_a_parameter_that_is_not_given() -> None:
    g = {"w": jnp.ones(3, jnp.bfloat16)}
    for p, dtype in ((g, jnp.bfloat16), ({"w": jnp.ones(3)}, jnp.float32)):
        for tx in (gc.sgd(0.1, momentum=0.9), gc.adam(0.1), gc.contrib.ademamix(0.1, weight_decay=0.0)):
            assert tx.update(g, tx.init(p))[0]["w"].dtype == dtype


# Matrices


def test_muon_takes_exactly_the_matrices() -> None:
    p = {
        "kernel": jnp.ones((2, 3, 4)),
        "conv": jnp.ones((2, 2, 3, 4)),
        "dense": jnp.ones((3, 4)),
        "b": jnp.ones(4),
    }
    ours, theirs = gc.contrib.muon(0.1), optax.contrib.muon(0.1)
    state = ours.init(p)
    paths = lambda s: [jax.tree_util.keystr(k) for k, _ in jax.tree_util.tree_leaves_with_path(s)]  # noqa: E731
    assert paths(state) == paths(theirs.init(p))
    assert jax.tree.leaves(state.inner_states["muon"].inner_state[0].mu)[0].shape == (3, 4)
    g = gradients(p, 0)
    with jax.numpy_dtype_promotion("standard"):
        expected, _ = theirs.update(g, theirs.init(p), p)
    check_close(ours.update(g, state, p)[0], expected, 1e-5)


# The whole step


def test_step_takes_transformations_of_any_library() -> None:
    p, g = {"w": jnp.ones(3)}, {"w": jnp.arange(3.0)}
    theirs = optax.chain(optax.clip(0.5), optax.sgd(0.1, 0.9))
    params, state = gc.step(theirs, g, theirs.init(p), p, value=1.0)
    updates, expected = theirs.update(g, theirs.init(p), p)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, params, optax.apply_updates(p, updates)))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, state, expected))
    with pytest.raises(TypeError, match=r"received <function adam .*Call it: adam"):
        gc.step(gc.adam, g, (), p)  # type: ignore[arg-type]


@pytest.mark.parametrize("params", [{"w": jnp.ones(3), "n": jnp.arange(3)}, {"w": jnp.ones(3), "n": None}])
def test_a_step_leaves_alone_what_has_no_gradient(params: Any) -> None:
    tx = gc.sgd(0.5, momentum=0.9)
    new, _ = tx.step({"w": jnp.ones(3), "n": None}, tx.init(params), params)
    assert new["n"] is params["n"]
    assert new["w"].tolist() == [0.5, 0.5, 0.5]


def test_a_step_that_is_not_due_touches_no_bit() -> None:
    """Zero updates would turn -0.0 into 0.0."""
    p = {"w": jnp.array([-0.0, 1e-45, jnp.nan])}
    wait, nan = gc.accumulate_gradients(gc.adam(0.1), 2), {"w": jnp.full(3, jnp.nan)}
    for tx in (
        wait,
        gc.apply_if_finite(gc.adam(0.1), 9),
        gc.conditionally_mask(gc.adam(0.1), lambda i: i > 0),
    ):
        new, _ = jax.jit(tx.step)(nan, tx.init(p), p)
        assert np.asarray(new["w"]).tobytes() == np.asarray(p["w"]).tobytes()


def test_steps_without_what_they_need_say_so() -> None:
    p = {"w": jnp.ones(3)}
    tx = gc.chain(gc.clip(1.0), gc.adamw(0.1))
    with pytest.raises(ValueError, match=r"chain needs the parameters: call step\(grads, state, params\)"):
        tx.step(p, tx.init(p), None)
    with pytest.raises(
        ValueError, match=r"adamw needs the parameters: call update\(grads, state, params\)"
    ):
        tx.update(p, tx.init(p))
    with pytest.raises(
        ValueError, match=r"the state at \[1\] must be a tuple of 3 states.* received 1 parts"
    ):
        tx.step(p, (gc.EmptyState(), (gc.EmptyState(),)), p)
    with pytest.raises(ValueError, match=r"the state must be a tuple of 2 states.* received 1 parts"):
        tx.step(p, (gc.EmptyState(),), p)
    polyak = gc.chain(gc.clip(1.0), gc.polyak_sgd(0.1))
    with pytest.raises(TypeError, match="polyak_sgd needs the extra argument value"):
        polyak.step(p, polyak.init(p), p)
    with pytest.raises(TypeError, match=r"parameter \['n'\] has dtype int32.* would be truncated"):
        gc.sgd(0.1).step({"n": jnp.ones(3)}, gc.sgd(0.1).init({"n": jnp.arange(3)}), {"n": jnp.arange(3)})
