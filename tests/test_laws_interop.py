"""Laws of company: Flax, NNX, Equinox and Optax's own chain take our pairs unchanged."""

import equinox as eqx
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint
import pytest
from cases import TYPICAL, Case, ids
from flax import nnx
from flax.training.train_state import TrainState
from trees import check_close, gradients, params, signature_of

import gradchain as gc

PLAIN = [case for case in TYPICAL if case.extra is None]
ANY_TREE = [case for case in PLAIN if case.any_tree]


def one_step(case: Case, p):
    tx = case.make()
    updates, state = tx.update(gradients(p, 0), tx.init(p), p)
    return gc.apply_updates(p, updates), state


@pytest.mark.parametrize("case", **ids(PLAIN))
def test_inside_optax_chain_and_around_optax(case: Case) -> None:
    p = params()
    expected, _ = one_step(case, p)
    for tx in (optax.chain(case.make()), gc.chain(optax.identity(), case.make())):
        updates, _ = tx.update(gradients(p, 0), tx.init(p), p)
        check_close(gc.apply_updates(p, updates), expected, 1e-6)


@pytest.mark.parametrize("case", **ids(PLAIN))
def test_flax_train_state_and_bytes(case: Case) -> None:
    p = params()
    before = TrainState.create(apply_fn=None, params=p, tx=case.make())
    after = before.apply_gradients(grads=gradients(p, 0))
    check_close(after.params, one_step(case, p)[0], 1e-6)
    # Flax cannot write typed random keys: their integers go in their place.
    before, after = (
        state.replace(opt_state=gc.tree.unwrap_random_key_data(state.opt_state))
        for state in (before, after)
    )
    restored = flax.serialization.from_bytes(before, flax.serialization.to_bytes(after))
    assert signature_of(jax.tree.map(jnp.asarray, restored.opt_state)) == signature_of(after.opt_state)
    check_close(restored.opt_state, after.opt_state, 0)


class Tiny(nnx.Module):
    """A module of two parameters."""

    def __init__(self) -> None:
        self.w = nnx.Param(jnp.ones((3, 2)))
        self.b = nnx.Param(jnp.ones((2,)))


@pytest.mark.parametrize("case", **ids(ANY_TREE))
def test_nnx_optimizer(case: Case) -> None:
    model = Tiny()
    p = {"b": jnp.ones((2,)), "w": jnp.ones((3, 2))}
    grads = nnx.state(model, nnx.Param)
    grads = jax.tree.unflatten(jax.tree.structure(grads), jax.tree.leaves(gradients(p, 0)))
    optimizer = nnx.Optimizer(model, case.make(), wrt=nnx.Param)
    optimizer.update(model, grads)
    expected, _ = one_step(case, p)
    check_close({"b": model.b[...], "w": model.w[...]}, expected, 1e-6)


@pytest.mark.parametrize("case", **ids(ANY_TREE))
def test_equinox_modules(case: Case) -> None:
    model = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    p = eqx.filter(model, eqx.is_inexact_array)
    tx = case.make()
    grads = gradients(p, 0)
    updates, _ = eqx.filter_jit(tx.update)(grads, tx.init(p), p)
    moved = eqx.apply_updates(model, updates)
    assert isinstance(moved, eqx.nn.Linear)
    check_close(jax.tree.leaves(moved), jax.tree.leaves(gc.apply_updates(p, updates)), 1e-6)


def filled(shape: jax.ShapeDtypeStruct) -> jax.Array:
    """An array of this shape and dtype with something in it."""
    if jax.dtypes.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jax.random.key(3)
    return jnp.asarray(np.random.default_rng(0).uniform(0, 100, shape.shape), shape.dtype)


def test_orbax_restores_every_state(tmp_path) -> None:
    states = {}
    for i, case in enumerate(PLAIN):
        shapes = jax.eval_shape(case.make().init, params())
        sizes = [leaf.size for leaf in jax.tree.leaves(shapes)]
        if sizes and all(sizes):  # Orbax saves no empty array
            states[f"{i}"] = jax.tree.map(filled, shapes)
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "states", states)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "states", jax.eval_shape(lambda: states))
    assert jax.tree.structure(restored) == jax.tree.structure(states)
    check_close(restored, states, 0)
