"""Laws of sharding: states follow their parameters, and eight devices agree with one."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from cases import TYPICAL, Case, ids
from devices import exchanged, mesh_of
from jax.sharding import NamedSharding, PartitionSpec as P
from trees import check_close, gradients

import gradchain as gc

ANY_TREE = [case for case in TYPICAL if case.any_tree and not case.meshed]
STEPS = 3


def parameters() -> Any:
    """A matrix that both axes of a mesh cut, and a vector."""
    return {"w": jnp.arange(1.0, 33.0).reshape(8, 4) / 8, "b": jnp.arange(1.0, 9.0)}


def on(mesh: Any, specs: Any) -> Any:
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)


FULLY = on(mesh_of((4, 2), "data", "model"), {"w": P("data", "model"), "b": P("data")})
DATA = mesh_of((8,), "data")


@functools.lru_cache(maxsize=1)  # all laws of a row run in succession
def alone(case: Case) -> list[Any]:
    """Parameters and state after each step on one device."""
    tx, p = case.make(), parameters()
    step = jax.jit(lambda g, state, p: tx.step(g, state, p, **case.more(p, 0)))
    state, found = tx.init(p), []
    for t in range(STEPS):
        p, state = step(gradients(p, t), state, p)
        found.append((p, state))
    return found


def steps_in_place(case: Case, tx: Any, shardings: Any) -> Any:
    """Steps from a state that lies as `state_sharding` says; the compiled program, and the state."""
    p = parameters()
    places = gc.state_sharding(tx, p, shardings)
    sharded, state = jax.device_put(p, shardings), jax.device_put(case.make().init(p), places)
    outs = None if case.keeps_sharding else (shardings, places)
    step = jax.jit(lambda g, state, p: tx.step(g, state, p, **case.more(p, 0)), out_shardings=outs)
    program = step.lower(jax.device_put(gradients(p, 0), shardings), state, sharded).compile()
    for t, expected in enumerate(alone(case)):
        sharded, state = program(jax.device_put(gradients(p, t), shardings), state, sharded)
        check_close((sharded, state), expected, 1e-5)
        p = expected[0]
        assert_lie((sharded, state), (shardings, places))
    return program, state


def assert_lie(tree: Any, shardings: Any) -> None:
    """Every array of a tree lies where it should."""
    places = jax.tree.structure(tree).flatten_up_to(shardings)
    for (path, x), place in zip(jax.tree_util.tree_flatten_with_path(tree)[0], places, strict=True):
        assert x.sharding.is_equivalent_to(place, x.ndim), (jax.tree_util.keystr(path), x.sharding, place)


@pytest.mark.parametrize("case", **ids(ANY_TREE))
def test_fully_sharded_steps_agree_with_one_device_and_gather_nothing(case: Case) -> None:
    program, _ = steps_in_place(case, case.make(), FULLY)
    assert "fully" in case.gathers or exchanged(program, "all-gather") == []


@pytest.mark.parametrize("case", **ids(ANY_TREE))
def test_zero1_steps_agree_with_one_device_and_gather_parameters_alone(case: Case) -> None:
    tx = gc.zero1(case.make(), DATA)
    program, state = steps_in_place(case, tx, on(DATA, {"w": P(), "b": P()}))
    gathered = exchanged(program, "all-gather")
    assert "zero1" in case.gathers or gathered == [(8,), (8, 4)]
    for x in jax.tree.leaves(state):
        if x.shape in ((8, 4), (8,)):
            assert x.addressable_shards[0].data.size == x.size // 8


@pytest.mark.parametrize(
    "case", **ids([case for case in ANY_TREE if case.optimizer and not case.extra][::30])
)
def test_data_parallel_steps_agree_with_one_device(case: Case) -> None:
    """Parameters and state on every device, the batch divided: the compiler sums the gradients."""
    tx, p, batch = case.make(), parameters(), jnp.linspace(-1, 1, 128).reshape(16, 8)

    def loss(p: Any, batch: Any) -> Any:
        return jnp.mean(jnp.square(batch @ p["w"] + p["b"].sum()))

    @jax.jit
    def step(p: Any, state: Any, batch: Any) -> Any:
        return tx.step(jax.grad(loss)(p, batch), state, p)

    expected = step(p, tx.init(p), batch)
    whole = jax.device_put(p, NamedSharding(DATA, P()))
    state = gc.init_sharded(tx, whole)
    found = step(whole, state, jax.device_put(batch, NamedSharding(DATA, P("data"))))
    check_close(found, expected, 1e-5)
    assert all(x.sharding.is_fully_replicated for x in jax.tree.leaves(found))


@pytest.mark.skipif(not hasattr(jax, "set_mesh"), reason="explicit shardings are of JAX 0.7 on")
@pytest.mark.parametrize("case", **ids(ANY_TREE))
def test_types_of_states_keep_their_shardings(case: Case) -> None:
    mesh, tx = mesh_of((4, 2), "data", "model", explicit=True), case.make()
    shardings = on(mesh, {"w": P("data", "model"), "b": P("data")})
    with jax.set_mesh(mesh):
        places = gc.state_sharding(tx, parameters(), shardings)

        def typed(x: Any, place: Any) -> Any:
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)

        p = jax.tree.map(typed, parameters(), shardings)
        state = jax.eval_shape(tx.init, parameters())
        state = jax.tree.map(typed, state, places)

        def step(g: Any, state: Any, p: Any) -> Any:
            more = case.more(p, 0)
            if "grad" in more:
                more["grad"] = jax.tree.map(jax.sharding.reshard, more["grad"], shardings)
            return tx.step(g, state, p, **more)

        new = jax.eval_shape(step, p, state, p)
        for (path, x), old in zip(
            jax.tree_util.tree_flatten_with_path(new)[0], jax.tree.leaves((p, state)), strict=True
        ):
            assert entries(x) == entries(old), jax.tree_util.keystr(path)


def entries(x: Any) -> list[Any]:
    """The axes of a mesh along each dimension of a type."""
    spec = () if x.sharding is None else x.sharding.spec
    return [*spec] + [None] * (x.ndim - len(spec))
