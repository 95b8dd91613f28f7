"""Where the arrays of states lie: what follows which axis, ties, blocks, errors, states made in place."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from devices import mesh_of
from jax.sharding import NamedSharding, PartitionSpec as P
from processes import together

import gradchain as gc

MESH = mesh_of((4, 2), "data", "model")
S = jax.ShapeDtypeStruct


def specs(tx: Any, shape: tuple[int, ...], spec: P) -> dict[str, Any]:
    """The specs of the arrays kept for one parameter, by path, without those that are replicated."""
    p = {"w": S(shape, jnp.float32)}
    found = gc.state_sharding(tx, p, {"w": NamedSharding(MESH, spec)})
    leaves = jax.tree_util.tree_flatten_with_path(found)[0]
    return {jax.tree_util.keystr(path): tuple(s.spec) for path, s in leaves if any(s.spec)}


@pytest.mark.parametrize("tx", [gc.scale_by_factored_rms(), optax.scale_by_factored_rms()])
@pytest.mark.parametrize("shape", [(128, 128), (512, 512), (256, 512), (512, 256), (2, 256, 256)])
def test_rows_and_columns_of_square_matrices_follow_their_own_axis(tx: Any, shape: Any) -> None:
    found = specs(tx, shape, P(*[None] * (len(shape) - 2), "data", "model"))
    rows, columns = (("data",), ("model",)) if shape[-2] <= shape[-1] else (("model",), ("data",))
    lead = (None,) * (len(shape) - 2)
    assert found == {".v_row['w']": lead + rows, ".v_col['w']": lead + columns}


def test_factors_projections_and_covers_follow_their_axes() -> None:
    both = P("data", "model")
    assert specs(gc.scale_by_sm3(), (64, 64), both) == {
        ".mu['w'][0]": ("data",),
        ".mu['w'][1]": ("model",),
        ".nu['w']": ("data", "model"),
    }
    projected = specs(gc.scale_by_galore(8), (64, 64), both)
    assert projected[".projector['w']"] == ("data",)
    assert projected[".base_optimizer_state.mu['w']"] == (None, "model")
    factors = specs(gc.scale_by_shampoo(), (64, 1024), both)  # 1024: the largest that is not cut in blocks
    assert factors[".factors['w'][0][0]"] == (None, "data")
    assert factors[".factors['w'][0][1]"] == (None, "model")
    memory = specs(gc.scale_by_lbfgs(4), (8, 2), both)
    assert memory[".diff_params_memory['w']"] == (None, "data", "model")


@pytest.mark.parametrize("bits", [8, 4])
def test_codes_and_scales_follow_the_array_that_they_stand_for(bits: int) -> None:
    tx = gc.quantize_state(gc.adam(1e-3), bits, block=64)
    found = specs(tx, (256, 512), P("data", "model"))
    assert found[".inner_state[0].mu['w'].codes"] == ("data", "model")
    assert found[".inner_state[0].mu['w'].scales"] == ("data", "model")
    narrow = specs(gc.quantize_state(gc.adam(1e-3), 4, min_size=1), (8, 6), P(None, "model"))
    assert not any(".codes" in path for path in narrow)  # of 3 bytes, which 2 devices cannot divide


def made_by(*functions: Any) -> Any:
    """Another library's transformation, whose state has an array of each function of each parameter."""

    def init(params: Any) -> Any:
        return [jax.tree.map(function, params) for function in functions]

    return optax.GradientTransformation(init, lambda g, s, p=None: (g, s))


def test_joined_axes_follow_the_first_of_them_and_blocks_their_axis() -> None:
    rows = made_by(lambda p: jnp.zeros((p.shape[0] * p.shape[1], p.shape[2])))
    assert specs(rows, (8, 4, 6), P("data")) == {"[0]['w']": ("data",)}
    assert specs(rows, (8, 4, 6), P(None, None, "model")) == {"[0]['w']": (None, "model")}
    assert specs(rows, (8, 4, 6), P(None, "model")) == {}
    assert specs(rows, (8, 4, 6), P("data", "model")) == {}
    blocks = made_by(lambda p: jnp.zeros((p.shape[0] // 4, 3)))
    assert specs(blocks, (64, 8), P("data", "model")) == {"[0]['w']": ("data",)}
    assert specs(blocks, (24, 8), P("data", "model")) == {}  # 6 blocks on 4 devices


def test_an_axis_does_not_pass_another_when_its_size_is_changed() -> None:
    middle = made_by(lambda p: jnp.zeros((sorted(p.shape)[1],)))
    assert specs(middle, (6, 8, 12), P(None, "data")) == {"[0]['w']": ("data",)}


def test_what_nothing_tells_is_replicated() -> None:
    """The longer side of a square matrix that only zeros tell of, and no update does."""
    longer = made_by(lambda p: jnp.zeros((max(p.shape),)))
    assert specs(longer, (8, 8), P("data", "model")) == {}
    assert specs(longer, (8, 16), P("data", "model")) == {"[0]['w']": ("model",)}
    assert specs(made_by(lambda p: jnp.zeros((8,))), (8, 16), P("data", "model")) == {}
    # Smaller than 8, nothing is kept: one change alone tells, and for each of the two axes it tells another
    large = made_by(lambda p: jnp.zeros((max(p.shape) if min(p.shape) >= 8 else 1,)))
    assert specs(large, (8, 8), P("data")) == {}
    assert specs(gc.flatten(gc.adam(1e-3)), (8, 16), P("data", "model")) == {}


def test_nested_parameters_and_any_library() -> None:
    dense = {"kernel": S((8, 4), jnp.float32), "bias": S((4,), jnp.float32)}
    p = {"params": {"Dense_0": dense, "Dense_1": dense}}
    given = {"params": {"Dense_0": P("data"), "Dense_1": {"kernel": P(None, "model"), "bias": P("model")}}}
    given["params"]["Dense_0"] = {"kernel": P("data"), "bias": P()}
    for tx in (optax.adam(1e-3), optax.chain(optax.clip(1.0), optax.adamw(1e-3)), gc.adamw(1e-3)):
        found = jax.tree.leaves(gc.state_sharding(tx, p, given), is_leaf=lambda x: isinstance(x, P))
        assert [spec for spec in found if any(spec)] == [P("data"), P("model"), P(None, "model")] * 2
        assert jax.tree.structure(gc.state_sharding(tx, p, given)) == jax.tree.structure(
            jax.eval_shape(tx.init, p)
        )


def test_a_prefix_of_the_parameters_and_shardings_that_they_carry() -> None:
    p = {"a": S((8, 4), jnp.float32), "b": [S((8,), jnp.float32), None]}
    prefix = gc.state_sharding(gc.sgd(0.1, 0.9), p, {"a": P("data", "model"), "b": P("data")})
    assert prefix[0].trace == {"a": P("data", "model"), "b": [P("data"), None]}
    place = NamedSharding(MESH, P("data"))
    carried = {"a": S((8, 4), jnp.float32, sharding=place)}
    assert gc.state_sharding(gc.sgd(0.1, 0.9), carried)[0].trace == {"a": place}
    one = {"a": jnp.ones((8, 4))}
    assert gc.state_sharding(gc.sgd(0.1, 0.9), one)[0].trace == {"a": one["a"].sharding}


def test_nothing_is_allocated() -> None:
    p = {"w": S((2**20, 2**20), jnp.float32)}
    assert gc.state_sharding(gc.adamw(1e-3), p, P("data"))[0].mu == {"w": P("data")}


def test_wrappers_that_place_their_state_are_asked() -> None:
    p = {"w": S((16, 8), jnp.float32), "b": S((8,), jnp.float32)}
    data = mesh_of((8,), "data")
    for tx in (
        gc.chain(gc.clip_by_global_norm(1.0), gc.zero1(gc.adam(1e-3), data)),
        gc.masked(gc.zero1(gc.adam(1e-3), data), {"w": True, "b": False}),
        gc.with_master_weights(gc.zero1(gc.adam(1e-3), data)),
    ):
        found = gc.state_sharding(tx, p)
        of_mu = [
            s.spec
            for path, s in jax.tree_util.tree_flatten_with_path(found)[0]
            if "mu" in jax.tree_util.keystr(path) and "'w'" in jax.tree_util.keystr(path)
        ]
        assert of_mu == [P("data")]
        assert all(isinstance(s, NamedSharding) and s.mesh == data for s in jax.tree.leaves(found))


W = {"w": S((8, 4), jnp.float32)}


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"v": P("data")}, ValueError, r"\['v'\]"),
        ({"w": P("data", None, "model")}, ValueError, "has 3 dimensions, but parameter 'w' has 2"),
        ({"w": "data"}, TypeError, "must be a NamedSharding or a PartitionSpec, received 'data'"),
        (
            {"w": NamedSharding(mesh_of((8,), "x"), P(None, "x"))},
            ValueError,
            "8 parts, which does not divide 4",
        ),
        (None, TypeError, "the parameters carry none"),
    ],
)
def test_errors_name_the_parameter(given: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        gc.state_sharding(gc.adam(1e-3), W, given)


def test_errors_of_different_meshes_and_kinds() -> None:
    two = {"a": S((8,), jnp.float32), "b": S((8,), jnp.float32)}
    here, there = NamedSharding(MESH, P("data")), NamedSharding(mesh_of((8,), "data"), P("data"))
    with pytest.raises(ValueError, match=r"one mesh; that of 'a' has Mesh\(data=4, model=2\)"):
        gc.state_sharding(gc.adam(1e-3), two, {"a": here, "b": there})
    with pytest.raises(TypeError, match="that of 'a' is a NamedSharding, that of 'b' a PartitionSpec"):
        gc.state_sharding(gc.adam(1e-3), two, {"a": here, "b": P()})
    with pytest.raises(TypeError, match="'b' carries no NamedSharding"):
        gc.state_sharding(gc.adam(1e-3), {"a": S((8,), jnp.float32, sharding=here), "b": two["b"]})
    with pytest.raises(TypeError, match="a PartitionSpec has no memory"):
        gc.state_sharding(gc.adam(1e-3), two, P(), memory_kind="pinned_host")


def test_a_mesh_that_is_set_checks_specs() -> None:
    with jax.set_mesh(MESH):
        with pytest.raises(ValueError, match=r"no axis 'datum' in .* Did you mean 'data'"):
            gc.state_sharding(gc.adam(1e-3), W, P("datum"))
        with pytest.raises(ValueError, match="8 parts, which does not divide 4"):
            gc.state_sharding(gc.adam(1e-3), W, P(None, ("data", "model")))
        state = gc.init_sharded(gc.adam(1e-3), {"w": jnp.ones((8, 4))}, P("data"))
        assert state[0].mu["w"].sharding == NamedSharding(MESH, P("data"))
    with pytest.raises(TypeError, match="PartitionSpecs need a mesh"):
        gc.init_sharded(gc.adam(1e-3), {"w": jnp.ones((8, 4))}, P("data"))


def test_a_state_is_made_in_place() -> None:
    tx, place = gc.adam(1e-3), NamedSharding(MESH, P(("data", "model")))
    p = {"w": np.ones((1024, 64), np.float32)}
    state = gc.init_sharded(tx, p, {"w": place})
    for x in (state[0].mu["w"], state[0].nu["w"]):
        assert [shard.data.shape for shard in x.addressable_shards] == [(128, 64)] * 8
    sharded = jax.device_put(p, place)
    program = jax.jit(tx.init, out_shardings=gc.state_sharding(tx, sharded)).lower(sharded).compile()
    sizes, part = program.memory_analysis(), 2 * 1024 * 64 * 4 // 8
    assert gc.collectives(program) == []
    assert sizes.output_size_in_bytes < part + 256
    assert sizes.temp_size_in_bytes < 256
    shapes = gc.init_sharded(tx, {"w": S((1024, 64), jnp.float32)}, {"w": place})
    assert shapes[0].mu["w"].sharding == place


def test_a_state_may_lie_in_the_memory_of_the_host() -> None:
    p = {"w": jnp.ones((8, 4))}
    state = gc.init_sharded(gc.adam(1e-3), p, NamedSharding(MESH, P("data")), memory_kind="pinned_host")
    assert state[0].mu["w"].sharding == NamedSharding(MESH, P("data"), memory_kind="pinned_host")
    assert state[0].count.sharding.memory_kind == "device"


IN_PROCESSES = """
import jax.numpy as jnp
import gradchain as gc
from jax.sharding import NamedSharding, PartitionSpec as P

mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
place = NamedSharding(mesh, P("data"))
p = {"w": jax.make_array_from_callback((8, 4), place, lambda index: jnp.ones((8, 4))[index])}
state = gc.init_sharded(gc.adam(0.1), p)
tx = gc.zero1(gc.adam(0.1), mesh)
whole = {"w": jax.make_array_from_callback((8, 4), NamedSharding(mesh, P()), lambda i: jnp.ones((8, 4))[i])}
parts = tx.init(whole)
new, parts = jax.jit(tx.step)(whole, parts, whole)
mu = [state[0].mu["w"], parts[0].mu["w"]]
tell([[str(x.sharding.spec) for x in mu], [x.addressable_shards[0].data.shape for x in mu],
      float(new["w"].addressable_shards[0].data[0, 0])])
"""


def test_states_of_several_processes() -> None:
    for told in together(IN_PROCESSES, processes=2, devices=2):
        assert told[:2] == [[str(P("data"))] * 2, [[2, 4]] * 2]
        assert abs(told[2] - 0.9) < 1e-5
