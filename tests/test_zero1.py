"""ZeRO-1: what each device keeps and receives, which dimension is cut, and who is told of the rest."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from devices import exchanged, mesh_of
from jax.sharding import NamedSharding, PartitionSpec as P
from trees import check_close, signature_of

import gradchain as gc

DATA = mesh_of((8,), "data")
BOTH = mesh_of((4, 2), "data", "model")
p = {"w": jnp.linspace(-1, 1, 64 * 16).reshape(64, 16), "b": jnp.ones((16,)), "odd": jnp.ones((3,))}
x, y = jnp.linspace(0, 1, 32 * 64).reshape(32, 64), jnp.linspace(-1, 1, 32)


def loss(p: Any, x: Any, y: Any) -> Any:
    """A mean over the batch."""
    return jnp.mean((jnp.tanh(x @ p["w"] + p["b"][None]).sum(1) * p["odd"].sum() - y) ** 2)


def bytes_per_device(tree: Any) -> int:
    return sum(a.addressable_shards[0].data.nbytes for a in jax.tree.leaves(tree))


def test_a_device_keeps_its_part_of_the_state() -> None:
    tx = gc.adamw(1e-2)
    state, parts = tx.init(p), gc.zero1(tx, DATA).init(p)
    assert bytes_per_device(parts) <= 0.15 * bytes_per_device(state)
    assert signature_of(parts) == signature_of(state)
    places = gc.state_sharding(gc.zero1(tx, DATA), p)
    assert jax.tree.map(lambda a: a.sharding, parts) == places


@functools.cache
def whole_step(tx: Any, explicit: bool = False) -> Any:
    """A step of ZeRO-1 from loss to parameters: program, and its result after two steps."""
    mesh = mesh_of((8,), "data", explicit=explicit)
    value_and_grad, parts = gc.sharded_value_and_grad(loss, mesh), gc.zero1(tx, mesh)

    @jax.jit
    def train_step(p: Any, state: Any, x: Any, y: Any) -> Any:
        value, grads = value_and_grad(p, x, y)
        return *parts.step(grads, state, p), value

    q, batch = (
        jax.device_put(p, NamedSharding(mesh, P())),
        jax.device_put((x, y), NamedSharding(mesh, P("data"))),
    )
    state = parts.init(q)
    program = train_step.lower(q, state, *batch).compile()
    for _ in range(2):
        q, state, value = program(q, state, *batch)
    return program, q, state, value


CLIPPED = gc.chain(gc.clip_by_global_norm(0.1), gc.adamw(1e-2))


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("tx", [CLIPPED, gc.muon(1e-2)])
def test_a_step_is_one_reduce_scatter_and_one_all_gather_for_each_parameter(
    tx: Any, explicit: bool
) -> None:
    program, q, state, value = whole_step(tx, explicit)
    assert exchanged(program, "reduce-scatter") == [(2,), (8, 16)]
    gathered = exchanged(program, "all-gather")
    # With explicit types, what orthogonalizes has whole matrices
    assert gathered == [(16,), (64, 16)] if not (explicit and tx != CLIPPED) else (64, 16) in gathered
    expected, plain = p, tx.init(p)
    step = jax.jit(lambda g, s, p: tx.step(g, s, p))
    for _ in range(2):
        expected_value, grads = jax.value_and_grad(loss)(expected, x, y)
        expected, plain = step(grads, plain, expected)
    check_close((q, state, value), (expected, plain, expected_value), 1e-5)


def test_everything_is_computed_on_parts_whatever_is_given() -> None:
    """A state that was restored whole is cut; gradients and parameters come to `tx` in parts."""
    seen: list[Any] = []

    def update(g: Any, state: Any, params: Any) -> Any:
        for a in (g["w"], params["w"]):
            jax.debug.inspect_array_sharding(a, callback=seen.append)
        return g, state

    kept = gc.GradientTransformation(lambda p: jax.tree.map(jnp.zeros_like, p), update)
    inner = gc.chain(kept, gc.trace(0.9))
    tx = gc.zero1(inner, DATA)
    q = jax.device_put(p, NamedSharding(DATA, P()))
    new, state = jax.jit(tx.step)(q, jax.device_put(inner.init(p), NamedSharding(DATA, P())), q)
    assert bytes_per_device(new) == bytes_per_device(p)
    assert bytes_per_device(state) < 2 / 8 * bytes_per_device(p) + 64
    assert len(seen) == 2
    assert all(s.is_equivalent_to(NamedSharding(DATA, P("data")), 2) for s in seen)


def test_what_is_gathered_is_as_narrow_as_the_parameters() -> None:
    tx = gc.zero1(gc.with_master_weights(gc.adam(1e-2)), DATA)
    q = jax.device_put(jax.tree.map(lambda a: a.astype("float16"), p), NamedSharding(DATA, P()))
    program = jax.jit(tx.step).lower(q, tx.init(q), q).compile()
    assert {x for c in gc.collectives(program) if c.kind == "all-gather" for x in c.arrays} == {
        ("f16", (64, 16)),
        ("f16", (16,)),
    }


def test_outside_of_a_program_and_with_update() -> None:
    tx = gc.zero1(gc.adam(1e-2), DATA)
    q = jax.device_put(p, NamedSharding(DATA, P()))
    updates, state = tx.update(q, tx.init(q), q)
    expected, plain = gc.adam(1e-2).update(p, gc.adam(1e-2).init(p), p)
    check_close((updates, state), (expected, plain), 1e-6)
    assert updates["w"].sharding.is_fully_replicated
    assert state[0].mu["w"].sharding.spec == P("data")


def test_the_largest_dimension_that_is_free_and_divides_is_cut() -> None:
    shapes = {"a": (8, 16), "b": (16, 16), "c": (24, 20), "d": (8, 64), "e": (5, 3), "f": ()}
    tree = {k: jnp.zeros(shape) for k, shape in shapes.items()}
    tx = gc.zero1(gc.sgd(0.1, 0.9), BOTH, specs={k: P() for k in "abcef"} | {"d": P(None, "model")})
    found = {k: s.spec for k, s in gc.state_sharding(tx, tree)[0].trace.items()}
    assert found == {
        "a": P(None, "data"),
        "b": P("data"),
        "c": P("data"),
        "d": P("data", "model"),
        "e": P(),
        "f": P(),
    }
    told = gc.describe(tx, tree).remarks
    assert len(told) == 1
    assert "the state of e stays whole" in told[0]
    assert "a multiple of 4, the size of 'data'" in told[0]


def test_blocks_with_one_scale_are_cut_between_them() -> None:
    """A larger dimension divides, but its nine blocks of 256 do not."""
    q = {"w": jax.ShapeDtypeStruct((16, 2304), "float32", sharding=NamedSharding(DATA, P()))}
    tx = gc.zero1(gc.quantize_state(gc.adam(1e-2), min_size=1), DATA)
    places = gc.state_sharding(tx, q)
    assert places.inner_state[0].mu["w"].codes.spec == P("data")
    assert places.inner_state[0].mu["w"].scales.spec == P("data")
    shapes = jax.tree.map(
        lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
        jax.eval_shape(tx.init, q),
        places,
    )
    program = jax.jit(tx.step).lower(q, shapes, q).compile()
    assert [(c.kind, c.arrays) for c in gc.collectives(program)] == [("all-gather", (("f32", (16, 2304)),))]


def test_what_is_not_cut_is_warned_of_if_it_is_much() -> None:
    tx = gc.zero1(gc.adam(1e-2), DATA)
    with pytest.warns(UserWarning, match=r"state of odd stays whole .* \(27% of all entries\)"):
        tx.init({"w": jnp.ones((8,)), "odd": jnp.ones((3,))})
    tx.init({"w": jnp.ones((80,)), "odd": jnp.ones((3,))})


def test_the_gradient_of_a_mean_on_two_axes_of_a_mesh() -> None:
    specs = {"w": P(None, "model"), "b": P("model"), "odd": P()}

    def with_aux(p: Any, x: Any, y: Any) -> Any:
        value = loss(p, x, y)
        return value, {"double": 2 * value}

    value_and_grad = gc.sharded_value_and_grad(with_aux, BOTH, has_aux=True, specs=specs)
    places = jax.tree.map(lambda spec: NamedSharding(BOTH, spec), specs)
    (value, aux), grads = jax.jit(value_and_grad)(jax.device_put(p, places), x, y)
    expected = jax.value_and_grad(loss)(p, x, y)
    check_close((value, grads), expected, 1e-5)
    check_close(aux["double"], 2 * expected[0], 1e-5)
    assert grads["w"].sharding.spec == P("data", "model")


def test_errors_of_the_gradient() -> None:
    with pytest.raises(ValueError, match=r"batch argument \[1\] has shape \(9,\); .* a multiple of 8"):
        gc.sharded_value_and_grad(loss, DATA)(p, x, y[:9])
    counted = gc.sharded_value_and_grad(lambda p, x: (x.sum(), x.astype(int)), DATA, has_aux=True)
    with pytest.raises(TypeError, match="floating-point numbers"):
        counted(p, x)


@pytest.mark.parametrize("make", [gc.sharded_value_and_grad, gc.zero1])
def test_errors_of_meshes(make: Any) -> None:
    of = loss if make is gc.sharded_value_and_grad else gc.adam(1e-2)
    with pytest.raises(
        ValueError, match=r"no axis 'date'; its axes are 'data', 'model'\. Did you mean 'data'"
    ):
        make(of, BOTH, "date")
    with pytest.raises(TypeError, match=r"mesh must be a jax\.sharding\.Mesh"):
        make(of, {"data": 8})


def test_errors_of_specs() -> None:
    def state_of(specs: Any) -> Any:
        return gc.zero1(gc.adam(1e-2), BOTH, specs=specs).init({"w": jnp.ones((8, 8))})

    with pytest.raises(ValueError, match=r"\['v'\]"):
        state_of({"v": P()})
    with pytest.raises(ValueError, match="names 'data', the axis over which it is replicated"):
        state_of({"w": P("data")})
    with pytest.raises(TypeError, match="must be a PartitionSpec"):
        state_of({"w": "model"})
    with pytest.raises(TypeError, match="expected a gradient transformation, a pair"):
        gc.zero1("adam", BOTH)


def test_inside_of_a_shard_map_over_the_axis() -> None:
    tx = gc.zero1(gc.adam(1e-2), DATA)
    state = tx.init(p)
    inside = jax.shard_map(lambda g, s: tx.step(g, s, g)[0], mesh=DATA, in_specs=P(), out_specs=P())
    with pytest.raises(RuntimeError, match=r"inside a shard_map over 'data'.*sharded_value_and_grad"):
        jax.eval_shape(inside, p, state)


def test_it_is_a_value() -> None:
    tx = gc.zero1(gc.adam(1e-2), DATA)
    assert tx == gc.zero1(gc.adam(1e-2), mesh_of((8,), "data")) != gc.zero1(gc.adam(1e-2), BOTH)
    assert hash(tx) == hash(gc.zero1(gc.adam(1e-2), DATA))
    assert repr(tx).startswith("zero1(tx=adam(learning_rate=0.01), mesh=Mesh(")
    assert tx.replace(tx=gc.sgd(0.1)) == gc.zero1(gc.sgd(0.1), DATA)


@pytest.mark.parametrize("inside", [True, False])
def test_parts_of_a_state_wait_in_the_memory_of_the_host(inside: bool) -> None:
    tx = gc.adam(1e-2)
    tx = gc.zero1(gc.offload_state(tx), DATA) if inside else gc.offload_state(gc.zero1(tx, DATA))
    q = jax.device_put(p, NamedSharding(DATA, P()))
    state = tx.init(q)
    places = gc.state_sharding(tx, q)
    assert places[0].mu["w"] == NamedSharding(DATA, P("data"), memory_kind="pinned_host")
    new, state = jax.jit(tx.step)(q, state, q)
    check_close((new, state), gc.adam(1e-2).step(p, gc.adam(1e-2).init(p), p), 1e-6)
    for leaf, place in zip(jax.tree.leaves(state), jax.tree.leaves(places), strict=True):
        assert leaf.sharding.is_equivalent_to(place, leaf.ndim)
        assert leaf.sharding.memory_kind == place.memory_kind


def test_a_state_waits_in_the_memory_of_the_host() -> None:
    tx = gc.offload_state(gc.adam(1e-2))
    state = tx.init(p)
    assert {a.sharding.memory_kind for a in jax.tree.leaves(state) if a.ndim} == {"pinned_host"}
    assert state[0].count.sharding.memory_kind == "device"
    new, state = tx.step(p, state, p)
    assert {a.sharding.memory_kind for a in jax.tree.leaves(state) if a.ndim} == {"pinned_host"}
    check_close(new, gc.adam(1e-2).step(p, gc.adam(1e-2).init(p), p)[0], 1e-6)
    with pytest.raises(
        ValueError, match=r"cpu devices have no memory 'vram' .* they have 'device', 'pinned_"
    ):
        gc.offload_state(gc.adam(1e-2), "vram").init(p)
    with pytest.raises(TypeError, match="memory_kind must be a string"):
        gc.offload_state(gc.adam(1e-2), 3)
