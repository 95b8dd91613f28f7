"""Laws of sharding: state follows the parameters, and eight devices agree with one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, Case, ids
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from trees import check_close, gradients

ANY_TREE = [case for case in CASES if case.any_tree]
WRAPPERS = [case for case in ANY_TREE if case.wraps]


@pytest.mark.parametrize("case", **ids(WRAPPERS))
def test_whole_steps_on_eight_devices_agree_and_keep_shardings(case: Case) -> None:
    split = NamedSharding(Mesh(np.array(jax.devices()[:8]), ("data",)), PartitionSpec("data"))
    p = {"w": jnp.arange(1.0, 17.0).reshape(8, 2), "b": jnp.arange(1.0, 9.0)}
    tx, sharded = case.make(), jax.device_put(p, split)
    step = jax.jit(lambda g, state, p: tx.step(g, state, p, **case.more(p, 0)))
    state, plain_state = tx.init(sharded), tx.init(p)
    for t in range(3):
        g = gradients(p, t)
        sharded, state = step(jax.device_put(g, split), state, sharded)
        p, plain_state = step(g, plain_state, p)
        check_close((sharded, state), (p, plain_state), 1e-5)
    if case.keeps_sharding:
        for leaf in jax.tree.leaves((sharded, state)):
            if leaf.shape in ((8, 2), (8,)):
                assert leaf.sharding.is_equivalent_to(split, leaf.ndim)


@pytest.mark.parametrize("case", **ids(ANY_TREE))
def test_eight_devices_agree_with_one_and_keep_shardings(case: Case) -> None:
    mesh = Mesh(np.array(jax.devices()[:8]), ("data",))
    split = NamedSharding(mesh, PartitionSpec("data"))
    p = {"w": jnp.arange(1.0, 17.0).reshape(8, 2), "b": jnp.arange(1.0, 9.0)}
    sharded = jax.device_put(p, split)
    tx = case.make()

    @jax.jit
    def step(g, state, p):
        return tx.update(g, state, p, **case.more(p, 0))

    state = first = tx.init(sharded)
    plain_state = tx.init(p)
    for t in range(2):
        g = gradients(p, t)
        updates, state = step(jax.device_put(g, split), state, sharded)
        expected, plain_state = step(g, plain_state, p)
        check_close((updates, state), (expected, plain_state), 1e-5)
    if not case.keeps_sharding:
        return
    for tree in (() if case.constant else updates, first, state):
        for leaf in jax.tree.leaves(tree):
            if leaf.shape in ((8, 2), (8,)):
                assert leaf.sharding.is_equivalent_to(split, leaf.ndim)
