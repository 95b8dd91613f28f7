"""States in few bits: what is packed and what stays, how close it is, what it takes."""

from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from devices import eight, mesh_of
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from trees import check_close, enable_x64, gradients, params, signature_of, worst

import gradchain as gc
from gradchain.core import is_packed

MODEL = {
    "embed": (32000, 512),
    "norm": (512,),
    "up": (512, 2048),
    "heads": (512, 8, 64),
    "conv": (3, 3, 64, 130),
    "bias": (4099,),
}


def shapes(dtype: Any = "float32") -> Any:
    """The parameters of a model, as shapes."""
    return {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in MODEL.items()}


def formats(state: Any) -> dict[str, str]:
    """By the path of each packed array, what it is packed in."""
    found = jax.tree_util.tree_leaves_with_path(state, is_leaf=is_packed)
    return {jax.tree_util.keystr(path): repr(x) for path, x in found if is_packed(x)}


def small() -> Any:
    """Two parameters, one of which is packed by default."""
    rng = np.random.default_rng(0)
    return {"w": jnp.asarray(rng.normal(size=(64, 80)), "float32"), "b": jnp.ones((80,), "float32")}


def trained(tx: Any, steps: int = 30) -> tuple[Any, Any]:
    """Parameters and state after some steps of noisy gradients towards 0."""
    p = small()

    @jax.jit
    def train(p: Any) -> Any:
        def step(carry: Any, key: Any) -> Any:
            p, state = carry
            noise = jax.tree.map(lambda x: 0.3 * jax.random.normal(key, x.shape), p)
            g = jax.tree.map(jnp.add, p, noise)
            return tx.step(g, state, p), None

        return jax.lax.scan(step, (p, tx.init(p)), jax.random.split(jax.random.key(1), steps))[0]

    return train(p)


# What it takes


def test_adamw_keeps_two_bytes_for_a_parameter() -> None:
    size = sum(np.prod(shape) for shape in MODEL.values())
    for bits, most in ((8, 2.1), ("float8", 2.1), (4, 1.1), ("bfloat16", 4.01)):
        total = gc.tools.memory(gc.quantize_state(gc.adamw(1e-3), bits), shapes()).total
        assert total / size < most, bits
    assert gc.tools.memory(gc.adamw(1e-3), shapes()).total / size > 7.9


@pytest.mark.parametrize(("bits", "length"), [(8, 1024), (8, 1049), (4, 1024)])
def test_no_float32_copy_of_the_state_is_made(bits: int, length: int) -> None:
    """Arrays take their step one after another."""
    tx = gc.quantize_state(gc.adamw(1e-3), bits)
    p = {f"w{i}": jax.ShapeDtypeStruct((256, length), jnp.float32) for i in range(12)}
    state = jax.eval_shape(tx.init, p)
    step = jax.jit(lambda p, state, g: tx.step(g, state, p), donate_argnums=(0, 1))
    used = step.lower(p, state, p).compile().memory_analysis()
    assert used.temp_size_in_bytes < 0.4 * 2 * 4 * 12 * 256 * 1024


# How close it is


@pytest.mark.parametrize(
    "tx",
    [
        gc.adamw(0.02),
        gc.lion(0.01),
        gc.sgd(0.05, momentum=0.9),
        gc.rmsprop(0.02),
        gc.adafactor(0.05, momentum=0.9),
    ],
    ids=lambda tx: tx.factory.__name__,
)
def test_training_follows_float32(tx: Any) -> None:
    exact, _ = trained(tx)
    moved = worst(small(), exact)
    for bits, limit in ((8, 0.05), ("bfloat16", 0.05), ("float8", 0.15), (4, 0.6)):
        if bits != 8 and tx.factory not in (gc.adamw, gc.sgd):
            continue
        ours, state = trained(gc.quantize_state(tx, bits, min_size=1))
        assert formats(state)
        assert jnp.all(jnp.isfinite(ours["w"]))
        off = float(jnp.sqrt(jnp.mean((ours["w"] - exact["w"]) ** 2) / jnp.mean(exact["w"] ** 2)))
        assert 0 < off < limit < moved, (bits, off)


def test_steps_that_are_skipped_change_nothing() -> None:
    p = small()
    bad = jax.tree.map(lambda x: x * jnp.nan, p)
    for tx in (
        gc.quantize_state(gc.apply_if_finite(gc.adamw(0.01), 100), min_size=1),
        gc.apply_if_finite(gc.quantize_state(gc.adamw(0.01), min_size=1), 100),
        gc.quantize_state(gc.apply_if_finite(gc.adamw(0.01), 100), {"mu": 4, "nu": "bfloat16"}, min_size=1),
    ):
        step = jax.jit(tx.step)
        q, first = step(p, tx.init(p), p)
        state = first
        for _ in range(5):
            q, state = step(bad, state, q)
        kept, now = (jax.tree.leaves(s, is_leaf=is_packed) for s in (first, state))
        for x, y in zip(kept, now, strict=True):
            if is_packed(x):
                check_close((x.codes, x.scales), (y.codes, y.scales), 0)


def test_what_is_not_finite_stays_in_sight() -> None:
    tx, p = gc.quantize_state(gc.adamw(0.01), min_size=1), small()
    q, state = tx.step(jax.tree.map(lambda x: x.at[0].set(jnp.nan), p), tx.init(p), p)
    assert not jnp.all(jnp.isfinite(q["w"]))
    q, _ = tx.step(p, state, p)
    assert not jnp.all(jnp.isfinite(q["w"]))


# What is packed


def test_small_arrays_scalars_integers_and_complex_ones_stay() -> None:
    p = {
        "w": jnp.ones((64, 64)),
        "few": jnp.ones((4095,)),
        "one": jnp.float32(1),
        "none": jnp.zeros((0, 5)),
        "i": jnp.arange(5000),
        "z": jnp.ones((5000,), "complex64"),
        "h": jnp.ones((5000,), "bfloat16"),
    }
    state = gc.quantize_state(gc.scale_by_adam()).init(p)
    assert formats(state) == {
        ".inner_state.mu['h']": "Packed(8-bit, bfloat16[5000])",
        ".inner_state.mu['w']": "Packed(8-bit, float32[64, 64])",
        ".inner_state.nu['h']": "Packed(8-bit, float32[5000])",
        ".inner_state.nu['w']": "Packed(8-bit, float32[64, 64])",
        ".inner_state.nu['z']": "Packed(8-bit, float32[5000])",
    }
    assert state.inner_state.mu["w"].codec.signed
    assert not state.inner_state.nu["w"].codec.signed
    assert ".inner_state.mu['h']" not in formats(gc.quantize_state(gc.adam(0.1), "bfloat16").init(p))


def test_every_array_but_scalars_may_be_packed() -> None:
    tx, p = gc.quantize_state(gc.adam(0.1), min_size=0), params() | {"none": jnp.zeros((0, 5))}
    assert len(formats(tx.init(p))) == 4
    updates, _ = tx.update(gradients(p, 0), tx.init(p), p)
    assert jax.tree.structure(updates) == jax.tree.structure(p)


def test_float64_comes_back_as_float64() -> None:
    with enable_x64():
        tx, p = gc.quantize_state(gc.adam(0.1), min_size=1), params("float64")
        updates, state = tx.update(gradients(p, 0), tx.init(p), p)
        assert state.inner_state[0].mu["w"].dtype == np.float64
        assert state.inner_state[0].mu["w"].scales.dtype == np.float32
        expected, _ = gc.adam(0.1).update(gradients(p, 0), gc.adam(0.1).init(p), p)
        check_close(updates, expected, 1e-6)  # the first step is from zeros


@pytest.mark.parametrize(
    ("keep", "packed"),
    [
        ("b", {"w", "c"}),
        (["b", "c"], {"w"}),
        (r"[bc]", {"w"}),
        ({"w": True, "b": False, "deep": False}, {"b", "c"}),
        (lambda p: jax.tree.map(lambda x: x.ndim == 1, p), {"w"}),
    ],
)
def test_parameters_are_kept_by_name_and_by_mask(keep: Any, packed: set[str]) -> None:
    p = {"w": jnp.ones((4, 8)), "b": jnp.ones((8,)), "deep": {"c": jnp.ones((8,))}}
    if keep == r"[bc]" or keep == ["b", "c"]:
        p = {"w": p["w"], "b": p["b"], "c": p["deep"]["c"]}
    found = formats(gc.quantize_state(gc.sgd(0.1, momentum=0.9), min_size=1, keep=keep).init(p))
    assert {name.rpartition("['")[2][0] for name in found} == packed


def test_slots_may_differ() -> None:
    tx = gc.quantize_state(gc.scale_by_adam(), {"mu": 4, "nu": None}, min_size=1)
    assert set(formats(tx.init(params()))) == {".inner_state.mu['w']", ".inner_state.mu['deep'][0]['b']"}


@pytest.mark.parametrize(
    ("tx", "slot"),
    [
        (gc.lookahead(gc.sgd(0.1, momentum=0.9), 2, 0.5), "slow_params"),
        (gc.schedule_free(gc.sgd(0.1, momentum=0.9), 0.1), "z"),
        (gc.chain(gc.adam(0.1), gc.ema_params(0.9)), "average"),
        (gc.accumulate_gradients(gc.adam(0.1), 2), "acc_grads"),
        (gc.chain(gc.adagrad(0.1), gc.trace(0.9)), "sum_of_squares"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_copies_averages_and_sums_stay_unless_they_are_named(tx: Any, slot: str) -> None:
    p = {"w": jnp.ones((4, 8))}

    def names(bits: Any) -> set[str]:
        state = gc.quantize_state(tx, bits, min_size=1).init(p)
        where = formats(state.inner_state)
        return {name for name in where if slot in name.replace("[", ".").split(".")}

    assert not names(8)
    assert names({slot: 8})
    q = gc.quantize_state(tx, {slot: "bfloat16"}, min_size=1)
    start = gc.apply_updates(p, jax.tree.map(jnp.zeros_like, p))
    assert jnp.all(jnp.isfinite(q.step(p, q.init(start), start)[0]["w"]))


# What is wrong


@pytest.mark.parametrize("bits", [7, True, "int8", None, 32, {"mu": 16}, {"mu": "flaot8"}])
def test_unknown_formats_are_named(bits: Any) -> None:
    with pytest.raises(ValueError, match=r"quantize_state: bits.* must be one of 8, 4, 'float8'"):
        gc.quantize_state(gc.adam(0.1), bits)


def test_what_fits_nothing_is_named() -> None:
    p = params()
    with pytest.raises(
        ValueError, match=r"'mv', which no slot has; the slots are 'mu', 'nu'. Did you mean"
    ):
        gc.quantize_state(gc.adam(0.1), {"mv": 8}).init(p)
    wrong: Any = {3: 8}
    with pytest.raises(TypeError, match="names of slots"):
        gc.quantize_state(gc.adam(0.1), wrong)
    with pytest.raises(ValueError, match="keeps no arrays of the parameters' shapes"):
        gc.quantize_state(gc.sgd(0.1)).init(p)
    with pytest.raises(ValueError, match=r"flatten\(quantize_state"):
        gc.quantize_state(gc.flatten(gc.adam(0.1))).init(p)
    with pytest.raises(ValueError, match=r"named, as in bits=\{'sum_of_squares': 8\}"):
        gc.quantize_state(gc.adagrad(0.1)).init(p)
    with pytest.raises(ValueError, match=r"keep='v' matches no parameter.* 'w'"):
        gc.quantize_state(gc.adam(0.1), keep="v").init(p)
    with pytest.raises(ValueError, match="block must be a whole number of at least 1"):
        gc.quantize_state(gc.adam(0.1), block=0)
    gc.quantize_state(gc.adam(0.1)).init(p)  # all are small: that is no mistake


# What it goes through


def test_transformations_of_optax_are_packed_too() -> None:
    p = small()
    ours, theirs = (gc.quantize_state(m.adamw(0.01, weight_decay=1e-4), min_size=1) for m in (gc, optax))
    state, others = ours.init(p), theirs.init(p)
    assert len(formats(others)) == len(formats(state)) == 4
    assert not others.inner_state[0].nu["w"].codec.signed
    q = r = p
    with jax.numpy_dtype_promotion("standard"):
        for t in range(3):
            q, state = jax.jit(ours.step)(gradients(p, t), state, q)
            r, others = jax.jit(theirs.step)(gradients(p, t), others, r)
    assert float(jnp.mean(jnp.abs(q["w"] - r["w"]))) < 1e-5


def test_tools_see_through_it(tmp_path: Any) -> None:
    p = small()
    tx = gc.quantize_state(gc.adamw(gc.linear_schedule(0.1, 0.0, 10)), min_size=1)
    q, state = jax.jit(tx.step)(p, tx.init(p), p)
    assert float(gc.tools.learning_rate(tx, state)) == pytest.approx(0.09)
    assert int(gc.step_count(state)) == 1
    text = str(gc.describe(tx, p))
    assert "mu: 8-bit, like the parameters" in text
    assert "adamw" in text
    assert {"adamw/mu/w/codes", "adamw/nu/b/scales"} <= set(gc.state_to_dict(tx, state))
    gc.save(tmp_path / "state", tx, state)
    again = gc.load(tmp_path / "state", tx, tx.init(p))
    check_close(again, state, 0)
    assert signature_of(again) == signature_of(state)
    data = flax.serialization.to_bytes(state.inner_state)
    check_close(flax.serialization.from_bytes(tx.init(p).inner_state, data), state.inner_state, 0)
    begun = gc.reset(tx, state, q, where="w")
    assert int(jnp.sum(begun.inner_state[0].nu["w"].codes)) == 0
    check_close(begun.inner_state[0].nu["b"], state.inner_state[0].nu["b"], 0)
    kept = gc.tree.map_params(tx.init, lambda x, place: x, state, jax.tree.map(lambda _: "anywhere", p))
    check_close(kept, state, 0)


def test_numbers_are_tuned_inside_and_outside() -> None:
    p, tx = small(), gc.adamw(0.05)
    plain = gc.quantize_state(tx, min_size=1)
    expected, _ = jax.jit(plain.step)(p, plain.init(p), p)
    for tuned in (
        gc.quantize_state(gc.tunable(tx), min_size=1),
        gc.tunable(plain),
        gc.quantize_state(gc.inject_hyperparams(gc.adamw)(0.05), min_size=1),
    ):
        state = tuned.init(p)
        assert len(formats(state)) == 4
        state = gc.tools.set_hyperparams(state, learning_rate=0.05)
        found, _ = jax.jit(tuned.step)(p, state, p)
        check_close(found, expected, 1e-5)


def test_one_inside_another_keeps_its_own() -> None:
    p = small()
    tx = gc.quantize_state(
        gc.chain(gc.quantize_state(gc.scale_by_adam(), 4, min_size=1), gc.trace(0.9), gc.scale(-0.1)),
        min_size=1,
    )
    state = tx.init(p)
    found = formats(state)
    assert sum("4-bit" in x for x in found.values()) == 4
    assert sum("8-bit" in x for x in found.values()) == 2
    q, after = jax.jit(tx.step)(p, state, p)
    assert signature_of(after) == signature_of(state)
    assert jnp.all(jnp.isfinite(q["w"]))


def test_groups_may_be_packed_one_by_one() -> None:
    p = small()
    tx = gc.groups({"w": gc.quantize_state(gc.adamw(0.1)), "b": gc.adamw(0.1)})
    assert list(formats(tx.init(p)).values()) == ["Packed(8-bit, float32[64, 80])"] * 2
    tx = gc.quantize_state(gc.groups({"w": gc.adamw(0.1), "b": gc.lion(0.1)}), min_size=1)
    state = tx.init(p)
    assert len(formats(state)) == 3
    assert signature_of(jax.jit(tx.step)(p, state, p)[1]) == signature_of(state)


@pytest.mark.parametrize("bits", [8, 4, "bfloat16"])
def test_codes_are_sharded_as_the_parameters_are(bits: Any) -> None:
    mesh = Mesh(np.array(eight()).reshape(4, 2), ("data", "model"))
    split = NamedSharding(mesh, PartitionSpec("data", "model"))
    tx = gc.quantize_state(gc.adamw(0.1), bits, 16, min_size=1, key=0)
    p = {"w": small()["w"] if bits != 4 else jnp.ones((64, 128))}  # blocks that shards cut, if in bytes
    there = jax.device_put(p, split)
    state, plain = tx.init(there), tx.init(p)
    step = jax.jit(tx.step)
    for t in range(2):
        g = gradients(p, t)
        there, state = step(jax.device_put(g, split), state, there)
        p, plain = step(g, plain, p)
    check_close(there, p, 1e-5)
    check_close(state, plain, 1e-5 if bits == "bfloat16" else 0.01)
    for x in jax.tree.leaves(state, is_leaf=is_packed):
        if is_packed(x):
            assert x.codes.sharding.is_equivalent_to(split, 2)


@pytest.mark.skipif(not hasattr(jax.sharding, "reshard"), reason="this JAX has no explicit sharding")
@pytest.mark.parametrize("bits", [8, 4])
def test_explicit_shardings_are_kept_also_where_they_cut_blocks(bits: int) -> None:
    tx, p = gc.quantize_state(gc.adamw(0.1), bits, 16, min_size=1), small()
    expected, _ = jax.jit(tx.step)(p, tx.init(p), p)
    with jax.set_mesh(mesh_of((4, 2), "data", "model", explicit=True)):
        specs = {"w": PartitionSpec("data", "model"), "b": PartitionSpec("model")}
        there = jax.tree.map(jax.device_put, p, specs)
        found, state = jax.jit(tx.step)(there, tx.init(there), there)
        check_close(found, expected, 1e-5)
        for x in jax.tree.leaves(state, is_leaf=is_packed):
            if is_packed(x):
                assert jax.typeof(x.codes).sharding.spec == specs["w" if x.ndim == 2 else "b"]
