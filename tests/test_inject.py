"""Hyperparameters in the state: the plain optimizer's numbers, kept in float32, free to change."""

import copy
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from arguments import matrices_only
from cases import CASES, Case, ids
from trees import check_close, gradients, params, wide

import gradchain as gc

INJECTABLE = [case for case in CASES if not case.wraps and case.extra is None and case.injects is not None]


@pytest.mark.parametrize("case", **ids(INJECTABLE))
def test_every_factory_injects_jits_and_equals_itself(case: Case) -> None:
    p = params()
    results = []
    injected = gc.inject_hyperparams(case.factory)(**case.call)
    for tx, step in ((case.make(), case.step), (injected, jax.jit(injected.update))):
        state, all_updates = tx.init(p), []
        for t in range(4):
            updates, state = step(gradients(p, t), state, p)
            all_updates += jax.tree.leaves(updates)
        results.append(all_updates)
    for ours, theirs in zip(*results, strict=True):
        check_close(ours, theirs, max(case.injects, 2e-6))


@pytest.mark.parametrize("case", **ids(INJECTABLE))
def test_every_factory_injects_without_a_rounding(case: Case) -> None:
    """Operation by operation: a compiled step rounds where XLA fuses, which depends on what it knows."""
    p = params() | ({"deep": ()} if case.any_tree else {})
    tx, injected = case.make(), gc.inject_hyperparams(case.factory)(**case.call)
    with jax.disable_jit():
        state, other = tx.init(p), injected.init(p)
        for t in range(2):
            ours, state = tx.update(gradients(p, t), state, p)
            theirs, other = injected.update(gradients(p, t), other, p)
            check_close(ours, theirs, case.injects)


def test_numbers_stay_float32_with_bfloat16_parameters() -> None:
    p = params("bfloat16")
    tx = gc.inject_hyperparams(gc.adam)(1e-2)
    state = tx.init(p)
    assert {x.dtype for x in state.hyperparams.values()} == {np.dtype("float32")}
    assert float(state.hyperparams["b2"]) == np.float32(0.999)
    updates, _ = tx.update(gradients(p, 0), state, p)
    expected, _ = gc.adam(1e-2).update(gradients(p, 0), gc.adam(1e-2).init(p), p)
    check_close(updates, expected, 0)
    assert all(np.all(np.isfinite(wide(u))) for u in jax.tree.leaves(updates))


def test_a_number_can_be_changed_without_a_new_trace() -> None:
    tx, p, traces = gc.inject_hyperparams(gc.sgd)(learning_rate=0.1), params(), []

    @jax.jit
    def step(g, state):
        traces.append(1)
        return tx.update(g, state)

    state = tx.init(p)
    g = gradients(p, 0)
    u, state = step(g, state)
    check_close(u, jax.tree.map(lambda x: -0.1 * x, g), 1e-7)
    state.hyperparams["learning_rate"] = jnp.float32(0.5)
    u, state = step(g, state)
    check_close(u, jax.tree.map(lambda x: -0.5 * x, g), 1e-7)
    assert len(traces) == 1


def test_schedules_are_evaluated_and_readable() -> None:
    tx = gc.inject_hyperparams(gc.sgd)(learning_rate=gc.linear_schedule(1.0, 0.0, 4))
    p = params()
    state = tx.init(p)
    rates = []
    for step in range(5):
        _, state = tx.update(gradients(p, step), state)
        rates.append(float(state.hyperparams["learning_rate"]))
    assert rates == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert int(state.count) == 5


def test_state_fields_are_optax_s() -> None:
    ours = gc.inject_hyperparams(gc.adam)(1e-3).init(params())
    theirs = optax.inject_hyperparams(optax.adam)(1e-3).init(params())
    assert ours._fields == theirs._fields
    assert set(theirs.hyperparams) <= set(ours.hyperparams)


def test_modules_and_masks_are_not_called() -> None:
    class Mask(eqx.Module):
        w: bool
        deep: bool

        def __call__(self, *args):
            raise AssertionError("a module was called")

    p = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    tx = gc.inject_hyperparams(gc.adamw)(1e-3, mask=matrices_only)
    updates, _ = jax.jit(tx.update)(gradients(p, 0), tx.init(p), p)
    plain = gc.adamw(1e-3, mask=matrices_only)
    check_close(updates, plain.update(gradients(p, 0), plain.init(p), p)[0], 1e-7)
    model = Mask(True, False)
    held = gc.inject_hyperparams(gc.masked)(gc.identity(), model)
    assert held.arguments["mask"] is model


def test_stateful_schedules_read_extra_arguments() -> None:
    class OnPlateau:
        def init(self):
            return jnp.float32(1.0)

        def update(self, state, *, value, **extra_args):
            return jnp.where(value > 1, state / 2, state)

        def __call__(self, state, **extra_args):
            return state

    tx = gc.inject_hyperparams(gc.sgd)(learning_rate=OnPlateau())
    p = params()
    state = tx.init(p)
    for value in (2.0, 0.0, 2.0):
        _, state = tx.update(gradients(p, 0), state, p, value=jnp.float32(value))
    assert float(state.hyperparams_states["learning_rate"]) == 0.25


def test_static_args_and_foreign_factories() -> None:
    tx = gc.inject_hyperparams(gc.adam, static_args="b1")(1e-3, b1=0.5)
    assert "b1" not in tx.init(params()).hyperparams
    with pytest.raises(ValueError, match=r"static_args \['beta'\] are no arguments of adam"):
        gc.inject_hyperparams(gc.adam, static_args="beta")
    foreign = gc.inject_hyperparams(optax.adam)(1e-3)
    assert set(foreign.init(params()).hyperparams) == {"learning_rate", "b1", "b2", "eps", "eps_root"}


def test_it_is_a_value() -> None:
    tx = gc.inject_hyperparams(gc.adam)(1e-3)
    assert repr(tx) == "inject_hyperparams(adam)(learning_rate=0.001)"
    assert eval(repr(tx), dict(vars(gc))) == tx
    assert pickle.loads(pickle.dumps(tx)) == tx == copy.deepcopy(tx)
    assert tx != gc.inject_hyperparams(gc.adam, static_args=("b1",))(1e-3)
    assert tx.replace(learning_rate=0.1).arguments["learning_rate"] == 0.1


def test_one_minus_restores_the_decimal() -> None:
    for text in ("0.999", "0.9", "0.9999", "0.95", "0.123456", "0.5", "0", "0.9999999"):
        exact = np.float32(1 - float(text))
        assert gc.core.numerics.one_minus(jnp.float32(float(text))) == exact
    between = jnp.nextafter(jnp.float32(0.3), jnp.float32(1))
    assert gc.core.numerics.one_minus(between) == 1 - between
