"""Saved states: every format, every dtype, whole files or none, and what is wrong said in time."""

import json
import os
import pathlib
import re
import sys
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint
import pytest
import safetensors.numpy
from devices import eight
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from trees import check_close, gradients, params, signature_of

import gradchain as gc
from gradchain.tools import CheckpointError
from gradchain.tools.saving import formats

FORMATS = ["state.npz", "state.safetensors", "state.msgpack", "state"]
FILES = FORMATS[:3]


def many() -> dict[str, Any]:
    """Parameters of every kind of array, with names of every kind."""
    return {
        "w": jnp.arange(6, dtype=jnp.bfloat16).reshape(3, 2),
        "mlp/linear": jnp.ones(2, jnp.float16),
        "mlp": {"linear": jnp.full(2, 2.0, jnp.float32), "é \x00\n": jnp.ones(())},
        "f8": [jnp.ones(3, jnp.float8_e4m3fn), jnp.ones(3, jnp.float8_e5m2)],
        "complex": jnp.full(2, 1 + 2j, jnp.complex64),
        "empty": jnp.zeros((0, 2)),
        "none": None,
    }


def chain() -> Any:
    return gc.chain(
        gc.add_noise(0.1, 0.5, key=3),
        gc.zero_nans(),
        gc.masked(gc.trace(0.9), lambda p: jax.tree.map(lambda x: x.ndim == 1, p)),
        gc.trace(0.5),
        gc.adamw(gc.cosine_decay_schedule(1e-3, 10), mu_dtype="bfloat16"),
    )


def same(a: Any, b: Any) -> None:
    assert signature_of(a) == signature_of(b)
    check_close(a, b, 0)
    assert [type(x) for x in jax.tree.leaves(a)] == [type(x) for x in jax.tree.leaves(b)]


def stepped(tx: Any, p: Any, steps: int = 2) -> Any:
    """A state after some steps."""
    state = tx.init(p)
    for _ in range(steps):
        _, state = tx.update(p, state, p)
    return state


@pytest.fixture(scope="module")
def trained() -> tuple[Any, Any, Any]:
    """A transformation, its state and parameters."""
    return chain(), stepped(chain(), many()), many()


@pytest.mark.parametrize("name", FORMATS)
def test_a_state_and_its_parameters_come_back(name: str, trained: Any, tmp_path: pathlib.Path) -> None:
    tx, state, p = trained
    gc.save(tmp_path / name, tx, state, p)
    shapes = jax.eval_shape(tx.init, p)
    loaded_params, loaded = gc.load(str(tmp_path / name), tx, shapes, jax.eval_shape(lambda: p))
    same(loaded, state)
    same(loaded_params, p)
    same(gc.load(tmp_path / name, tx, tx.init(p)), state)
    assert [x.name for x in tmp_path.iterdir()] == [name]
    gc.save(tmp_path / f"alone-{name}", tx, state)
    with pytest.raises(CheckpointError, match="no parameters were saved"):
        gc.load(tmp_path / f"alone-{name}", tx, shapes, p)


def test_the_dict_goes_through_the_libraries_own_functions(trained: Any, tmp_path: pathlib.Path) -> None:
    tx, state, p = trained
    d = gc.state_to_dict(tx, state)
    like = jax.eval_shape(lambda: state)
    without = stepped(tx, {k: v for k, v in p.items() if k != "f8"})  # NumPy cannot read float8_e5m2
    np.savez(tmp_path / "own.npz", **gc.state_to_dict(tx, without))
    loaded = np.load(tmp_path / "own.npz", allow_pickle=False)
    same(gc.state_from_dict(tx, jax.eval_shape(lambda: without), loaded), without)
    same(
        gc.state_from_dict(tx, like, flax.serialization.msgpack_restore(flax.serialization.to_bytes(d))),
        state,
    )
    plain = {k: np.asarray(v) for k, v in d.items()}
    safetensors.numpy.save_file(plain, tmp_path / "own.safetensors")
    same(gc.state_from_dict(tx, like, formats.read_safetensors(tmp_path / "own.safetensors")), state)
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "own", d)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "own")
    same(gc.state_from_dict(tx, like, restored), state)


def test_files_are_read_by_the_libraries_own_functions(tmp_path: pathlib.Path) -> None:
    tx, p = gc.adam(0.1), {"w": jnp.ones(2), "b": jnp.ones(2, jnp.bfloat16)}
    state = stepped(tx, p)
    for name in FILES:
        gc.save(tmp_path / name, tx, state, p)
    readers = [
        lambda: np.load(tmp_path / "state.npz", allow_pickle=False),
        lambda: flax.serialization.msgpack_restore((tmp_path / "state.msgpack").read_bytes()),
        lambda: formats.read_safetensors(tmp_path / "state.safetensors"),
    ]
    for read in readers:
        found = read()
        np.testing.assert_array_equal(found["adam/mu/w"], state[0].mu["w"])
        np.testing.assert_array_equal(found["params/w"], p["w"])
        assert json.loads(bytes(found["__gradchain__"]))["transformation"] == gc.to_config(tx)
    with safetensors.safe_open(tmp_path / "state.safetensors", "numpy") as file:
        assert "BF16" in file.get_slice("params/b").get_dtype()


def test_names_are_readable_and_say_what_is_in_them() -> None:
    p = {"encoder": {"kernel": jnp.ones((2, 2))}}
    tx = gc.chain(
        gc.clip(1.0), gc.named_chain(("a", gc.inject_hyperparams(gc.adamw)(0.1, b1=0.8))), gc.ema(0.9)
    )
    names = list(gc.state_to_dict(tx, tx.init(p)))
    assert names[:3] == ["__gradchain__", "a.adamw/injected/count", "a.adamw/injected/hyperparams/b1"]
    assert names[-6:] == [
        "a.adamw/injected/hyperparams/weight_decay",
        "a.adamw/count",
        "a.adamw/mu/encoder/kernel",
        "a.adamw/nu/encoder/kernel",
        "ema/count",
        "ema/ema/encoder/kernel",
    ]


def test_names_of_optimizers_that_are_made_of_others() -> None:
    p = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    names = list(
        gc.state_to_dict(
            gc.muon(gc.linear_schedule(0.1, 0.0, 5)), gc.muon(gc.linear_schedule(0.1, 0.0, 5)).init(p)
        )
    )
    assert names[1:] == [
        "muon/adam/count",
        "muon/adam/mu/b",
        "muon/adam/nu/b",
        "muon/adam/scale_by_learning_rate/count",
        "muon/muon/count",
        "muon/muon/mu/w",
        "muon/muon/ns_coeffs",
        "muon/muon/scale_by_learning_rate/count",
    ]


def test_a_chain_that_json_cannot_tell_is_saved_with_its_text(tmp_path: pathlib.Path) -> None:
    tx = gc.adam(lambda count: 0.1)
    p = params()
    gc.save(tmp_path / "state.npz", tx, stepped(tx, p), p)
    document = json.loads(bytes(gc.load_dict(tmp_path / "state.npz")["__gradchain__"]))
    assert document["transformation"] is None
    assert document["text"] == "adam(learning_rate=<lambda>)"
    same(gc.load(tmp_path / "state.npz", tx, tx.init(p)), stepped(tx, p))


def test_shardings_are_those_of_the_state_that_is_given(tmp_path: pathlib.Path) -> None:
    mesh = Mesh(np.array(eight()), ("x",))
    sharding = NamedSharding(mesh, PartitionSpec("x"))
    p = {"w": jax.device_put(jnp.arange(16.0), sharding), "b": jnp.ones(2)}
    tx = gc.adam(0.1)
    state = stepped(tx, p)
    assert state[0].mu["w"].sharding == sharding
    for name in FORMATS:
        gc.save(tmp_path / name, tx, state, p)
        loaded_params, loaded = gc.load(tmp_path / name, tx, state, p)
        for x in (loaded[0].mu["w"], loaded[0].nu["w"], loaded_params["w"]):
            assert x.sharding == sharding
        check_close(loaded, state, 0)
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)
        assert gc.load(tmp_path / name, tx, shapes)[0].mu["w"].sharding == sharding
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
        assert len(gc.load(tmp_path / name, tx, shapes)[0].mu["w"].devices()) == 1


def test_training_goes_on_as_if_nothing_had_happened(tmp_path: pathlib.Path) -> None:
    tx = gc.chain(
        gc.clip_by_global_norm(1.0), gc.accumulate_gradients(gc.adamw(gc.linear_schedule(0.1, 0.0, 9)), 2)
    )
    step = jax.jit(tx.step)
    p, state = params(), tx.init(params())
    for i in range(3):
        p, state = step(gradients(p, i), state, p)
    gc.save(tmp_path / "state.npz", tx, state, p)
    q, restored = gc.load(tmp_path / "state.npz", tx, jax.eval_shape(tx.init, p), p)
    for i in range(3, 6):
        p, state = step(gradients(p, i), state, p)
        q, restored = step(gradients(q, i), restored, q)
    same((q, restored), (p, state))


@pytest.mark.parametrize("committed", [False, True])
def test_the_loaded_state_shares_no_memory(committed: bool) -> None:
    """It may be donated, and the dict may change."""
    tx, p = gc.adam(0.1), {"w": jnp.ones(100_000), "b": jnp.ones(65)}
    state = stepped(tx, p)
    if committed:
        state = jax.device_put(state, eight()[1])
    d = {k: np.array(v) for k, v in gc.state_to_dict(tx, state).items()}
    loaded = gc.state_from_dict(tx, state, d)
    for name in ("adam/mu/w", "adam/nu/b"):
        d[name][...] = 7.0
    check_close(loaded, state, 0)
    again = gc.state_from_dict(tx, state, gc.state_to_dict(tx, state))
    jax.tree.map(lambda x: x.delete(), again)
    check_close(state, loaded, 0)


def test_nnx_optimizers_are_saved_by_their_state() -> None:
    tx = gc.adam(0.1)
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
    d = gc.state_to_dict(tx, optimizer.opt_state)
    assert list(d)[1:4] == ["adam/count", "adam/mu/bias", "adam/mu/kernel"]
    plain = gc.state_from_dict(tx, tx.init({"bias": jnp.ones(3), "kernel": jnp.ones((2, 3))}), d)
    assert int(plain[0].count) == 1
    boxed = gc.state_from_dict(tx, optimizer.opt_state, d)
    check_close(jax.tree.leaves(boxed), jax.tree.leaves(optimizer.opt_state), 0)
    assert isinstance(boxed[0].mu["kernel"], nnx.Variable)


DTYPES = "bool uint8 int4 int16 uint32 float16 bfloat16 float32 float8_e4m3fn float8_e5m2 complex64"


@pytest.mark.parametrize("name", FORMATS)
def test_every_dtype_comes_back(name: str, tmp_path: pathlib.Path) -> None:
    def init(p: Any) -> Any:
        keys = {impl: jax.random.split(jax.random.key(1, impl=impl), 2) for impl in ("threefry2x32", "rbg")}
        wide = {kind: np.arange(3).astype(kind) for kind in ("int64", "float64", "complex128")}
        return {kind: jnp.arange(2).astype(kind) for kind in DTYPES.split()} | keys | wide

    pair = gc.GradientTransformation(init, gc.identity().update)
    state = init(None)
    gc.save(tmp_path / name, pair, state)
    again = gc.load(tmp_path / name, pair, state)
    assert {k: type(x) for k, x in again.items()} == {k: type(x) for k, x in state.items()}
    assert {k: x.dtype for k, x in again.items()} == {k: x.dtype for k, x in state.items()}
    check_close(again, state, 0)


def test_python_numbers_and_numpy_arrays_keep_their_kind() -> None:
    tx = gc.stateless(lambda u, p: u)
    pair = gc.GradientTransformation(lambda p: {"n": 3, "x": 0.5, "on": True, "a": np.arange(3)}, tx.update)
    state = pair.init(None)
    again = gc.state_from_dict(pair, state, gc.state_to_dict(pair, state))
    assert {k: type(v) for k, v in again.items()} == {k: type(v) for k, v in state.items()}
    assert (again["n"], again["x"], again["on"]) == (3, 0.5, True)
    np.testing.assert_array_equal(again["a"], state["a"])
    swapped = gc.state_to_dict(pair, {"a": np.arange(3.0).astype(">f8")})
    assert all(x.dtype.isnative for x in swapped.values())


# What is wrong


def saved(tx: Any, p: Any, path: pathlib.Path) -> Any:
    state = stepped(tx, p)
    gc.save(path, tx, state, p)
    return state


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_told(name: str, tmp_path: pathlib.Path) -> None:
    tx, p = gc.adam(0.1), params()
    state = saved(tx, p, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for size in (0, 7, len(whole) // 3, len(whole) - 200, len(whole) - 1):
        (tmp_path / name).write_bytes(whole[:size])
        with pytest.raises(
            CheckpointError, match=rf"load: .*{name} is not whole, .*; it has {size:,} bytes. Restore"
        ):
            gc.load(tmp_path / name, tx, state)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_never_enters_a_state(name: str, tmp_path: pathlib.Path) -> None:
    tx, p = gc.adam(0.1), params()
    state = saved(tx, p, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    noticed = 0
    places = np.random.default_rng(0).integers(0, len(whole), 60)
    start = whole.find(np.asarray(state[0].nu["w"]).tobytes())
    for place in (*places, start, start + 5):
        (tmp_path / name).write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            loaded = gc.load(tmp_path / name, tx, state)
        except CheckpointError:
            noticed += 1
        else:
            assert place not in (start, start + 5)
            same(loaded, state)  # in the description, or where nothing is
    assert noticed > 10


def test_a_damaged_folder_is_told(tmp_path: pathlib.Path) -> None:
    tx, p = gc.adam(0.1), params()
    state = saved(tx, p, tmp_path / "state")
    (tmp_path / "state" / "manifest.ocdbt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="state is not whole, or save did not write it"):
        gc.load(tmp_path / "state", tx, state)
    (tmp_path / "other").mkdir()
    with pytest.raises(CheckpointError, match="other is not whole, or save did not write it"):
        gc.load(tmp_path / "other", tx, state)


class Failure(Exception):
    pass


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("at", ["write", "fsync", "replace"])
def test_a_failed_save_leaves_the_old_file(
    name: str, at: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx, p = gc.adam(0.1), params()
    state = saved(tx, p, tmp_path / name)
    before = (tmp_path / name).read_bytes()

    def fail(*args: Any) -> None:
        raise Failure

    def fail_halfway(path: pathlib.Path, arrays: Any) -> None:
        path.write_bytes(b"half")
        raise Failure

    if at == "write":
        suffix = pathlib.Path(name).suffix
        monkeypatch.setitem(formats.FORMATS, suffix, formats.FORMATS[suffix]._replace(write=fail_halfway))
    else:
        monkeypatch.setattr(os, at, fail)
    with pytest.raises(Failure):
        gc.save(tmp_path / name, tx, stepped(tx, p, 3))
    monkeypatch.undo()
    assert (tmp_path / name).read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == [name]
    same(gc.load(tmp_path / name, tx, state), state)


def test_a_folder_is_not_overwritten(tmp_path: pathlib.Path) -> None:
    tx, p = gc.adam(0.1), params()
    state = saved(tx, p, tmp_path / "state")
    with pytest.raises(
        FileExistsError, match="folders are not overwritten: give each step a name of its own"
    ):
        gc.save(tmp_path / "state", tx, tx.init(p))
    same(gc.load(tmp_path / "state", tx, state), state)


def test_what_does_not_fit_is_listed_and_nothing_is_loaded(tmp_path: pathlib.Path) -> None:
    tx, p = gc.adam(0.1), {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    saved(tx, p, tmp_path / "state.npz")

    def complaint(tx: Any, like: Any, p: Any = None) -> str:
        before = jax.tree.map(jnp.copy, like)
        with pytest.raises(CheckpointError) as caught:
            gc.load(tmp_path / "state.npz", tx, like, p)
        check_close(like, before, 0)
        return str(caught.value)

    other = complaint(gc.sgd(0.1, 0.9), gc.sgd(0.1, 0.9).init(p))
    assert "is of adam(learning_rate=0.1) and does not fit sgd(learning_rate=0.1, momentum=0.9)" in other
    assert "missing: sgd/trace/b, sgd/trace/w" in other
    assert "extra: adam/count, adam/mu/b, adam/mu/w, adam/nu/b, adam/nu/w" in other
    shape = complaint(tx, tx.init({**p, "w": jnp.ones((3, 2))}))
    assert "of another shape: adam/mu/w has (2, 3), expected (3, 2), adam/nu/w has" in shape
    dtype = complaint(tx, gc.adam(0.1, mu_dtype="bfloat16").init(p))
    assert "of another dtype: adam/mu/b is float32, expected bfloat16" in dtype
    fewer = complaint(tx, tx.init({"b": p["b"]}))
    assert "extra: adam/mu/w, adam/nu/w" in fewer
    assert "missing" not in fewer
    many = complaint(tx, tx.init({"b": [p["b"]] * 20, "w": p["w"]}))
    assert "and 32 more" in many
    weights = complaint(tx, tx.init(p), {"w": p["w"], "c": p["b"]})
    assert "parameters do not fit those given: missing: params/c; extra: params/b" in weights


def changed(d: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A dict whose description says something else."""
    document = json.loads(bytes(np.asarray(d["__gradchain__"]))) | changes
    return {**d, "__gradchain__": np.frombuffer(json.dumps(document).encode(), np.uint8)}


def test_wrong_dicts_are_refused() -> None:
    tx = gc.adam(0.1)
    state = stepped(tx, params())
    d = gc.state_to_dict(tx, state)
    without = {k: v for k, v in d.items() if k != "adam/count"}
    wrong = {
        "no entry '__gradchain__', only adam/count": {k: v for k, v in d.items() if k != "__gradchain__"},
        "no entry '__gradchain__', only nothing": {},
        "saved by gradchain 0.1.0 in schema 2; this version reads schemas up to 1. Install": changed(
            d, schema=2
        ),
        "description in '__gradchain__' is damaged": {**d, "__gradchain__": np.frombuffer(b"{", np.uint8)},
        "is damaged": changed(d, entries=3),
        "the array of adam/count is lost": without,
        r"adam/count is int32\[2\], but int32\[\] was saved": {**d, "adam/count": np.zeros(2, np.int32)},
        r"adam/mu/w is float64\[3, 2\], but float32": {**d, "adam/mu/w": np.zeros((3, 2))},
    }
    for text, content in wrong.items():
        with pytest.raises(CheckpointError, match=f"state_from_dict: .*{text}"):
            gc.state_from_dict(tx, state, content)


def test_a_state_of_another_transformation_is_not_saved() -> None:
    p = params()
    with pytest.raises(
        ValueError, match=r"state_to_dict: the state does not belong to this .* nothing for"
    ):
        gc.state_to_dict(gc.chain(gc.clip(1.0), gc.adam(0.1)), gc.clip(1.0).init(p))
    with pytest.raises(ValueError, match="adam/count is only a shape: give a state of arrays"):
        gc.state_to_dict(gc.adam(0.1), jax.eval_shape(gc.adam(0.1).init, p))
    with pytest.raises(ValueError, match="adam/count is traced: save outside of jit"):
        jax.jit(lambda s: gc.state_to_dict(gc.adam(0.1), s) and 0)(gc.adam(0.1).init(p))
    pair = gc.GradientTransformation(lambda p: {"name": "x"}, gc.identity().update)
    with pytest.raises(ValueError, match="name is 'x': only arrays and numbers can be saved"):
        gc.state_to_dict(pair, pair.init(None))


def test_names_of_files_are_checked_first(tmp_path: pathlib.Path) -> None:
    tx, p = gc.adam(0.1), params()
    state = tx.init(p)
    for call in (lambda path: gc.save(path, tx, state), lambda path: gc.load(path, tx, state)):
        with pytest.raises(
            ValueError, match=r"state.pkl has an unknown suffix: expected .npz, .safetensors"
        ):
            call(tmp_path / "state.pkl")
    gc.save(tmp_path / "state.npz", tx, state)
    with pytest.raises(FileNotFoundError, match=r"there is no .*state.msgpack. There is state.npz"):
        gc.load(tmp_path / "state.msgpack", tx, state)
    with pytest.raises(FileNotFoundError):
        gc.save(tmp_path / "no" / "state.npz", tx, state)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(CheckpointError, match=r"is not whole, or no \.npz file"):
        gc.load(tmp_path / "text.npz", tx, state)
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    with pytest.raises(CheckpointError, match=r"other.npz: there is no entry '__gradchain__', only a"):
        gc.load(tmp_path / "other.npz", tx, state)


def test_nothing_is_unpickled(tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "bad.npz", __gradchain__=np.array([print], dtype=object))
    with pytest.raises(CheckpointError, match="Object arrays cannot be loaded"):
        gc.load_dict(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("s.safetensors", "safetensors.numpy"),
        ("s.msgpack", "flax.serialization"),
        ("s", "orbax.checkpoint"),
    ],
)
def test_a_missing_library_is_named(
    name: str, library: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx = gc.adam(0.1)
    gc.save(tmp_path / name, tx, tx.init(params()))
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, library.partition(".")[0], None)
    install = r'need .*: install it with pip install "gradchain\[save\]", or use \.npz'
    with pytest.raises(ImportError, match=f"save: .* {install}"):
        gc.save(tmp_path / f"other-{name}", tx, tx.init(params()))
    with pytest.raises(ImportError, match=f"load: .* {install}"):
        gc.load(tmp_path / name, tx, tx.init(params()))
    assert [x.name for x in tmp_path.iterdir()] == [name]


PAGE = pathlib.Path(__file__).parent.parent / "docs" / "saving.md"


@pytest.mark.parametrize("with_torch", [False, True])
def test_the_page_s_examples_run(
    with_torch: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if with_torch:
        pytest.importorskip("torch", reason="torch is not installed; the page's other examples run")
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", PAGE.read_text(), re.S)
    assert len(blocks) == 6
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code, printed in blocks:
        if with_torch or "import torch" not in code:
            exec(code, names)
            assert not printed or str(names["report"]) == printed.strip()
    assert gc.from_config(gc.to_config(names["tx"])) == names["tx"]
