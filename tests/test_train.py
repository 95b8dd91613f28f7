"""A run that is saved and resumed is one run, on any devices, with any data, optimizer and dtype."""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from devices import mesh_of
from jax.sharding import NamedSharding, PartitionSpec as P
from small_runs import TX, assert_same, data, fit, loss, params, six, steps_in

import gradchain as gc
from gradchain.core._packed import has_packed
from gradchain.train.checksums import checksums
from gradchain.train.progress import Bar


def test_it_is_the_loop_that_one_would_write() -> None:
    step, p, s = gc.make_step(TX, loss, same_args=False), params(), TX.init(params())
    step, losses = jax.jit(step), []
    for i in range(6):
        p, s, info = step(p, s, data(i), jax.random.fold_in(jax.random.key(0), i))
        losses.append(float(info.value))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), six().params, p)
    np.testing.assert_allclose(six().metrics["loss"], losses, rtol=1e-5)
    assert six().metrics["step"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("tx", [gc.lbfgs(), gc.polyak_sgd(), gc.sam(gc.sgd(0.1), gc.sgd(0.1))], ids=repr)
def test_every_optimizer_gets_what_it_asks_for(tx: Any) -> None:
    found = fit(3, tx=tx, loss=lambda p, b, k: loss(p, data(0), jax.random.key(0)), log_every=1)
    assert found.metrics["loss"][-1] < found.metrics["loss"][0]


def test_metrics() -> None:
    told: list[Any] = []

    def with_aux(p: Any, batch: Any, key: Any) -> Any:
        return loss(p, batch, key), {"size": jnp.sum(batch), "pair": jnp.arange(2)}

    tx = gc.chain(gc.with_global_norm(gc.identity()), TX)
    given = {"tx": tx, "loss": with_aux, "has_aux": True, "measure": True}
    found = fit(5, log_every=2, on_metrics=lambda *x: told.append(x), **given)
    assert found.metrics["step"] == [2, 4, 5]
    assert set(found.metrics) == {"step", "loss", "grad_norm", "size", "pair", "global_norm"}
    assert [step for step, _ in told] == [2, 4, 5]
    assert told[0][1]["size"] == pytest.approx(float(data(1).sum()), rel=1e-5)
    assert found.metrics["global_norm"] == pytest.approx(found.metrics["grad_norm"], rel=1e-5)
    with pytest.raises(TypeError, match="metrics a dict"):
        fit(1, loss=lambda p, b, k: (loss(p, b, k), {"step": 1}), has_aux=True)


def test_parameters_that_were_given_stay() -> None:
    given = params()
    fit(1, params=given)
    np.testing.assert_array_equal(given["w"], params()["w"])


def test_keys_of_any_kind() -> None:
    for key in (jax.random.key(0), jax.random.PRNGKey(0)):
        assert_same(fit(6, key=key), six())


def test_resumed_with_the_same_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(4, tmp_path)
    assert_same(fit(6, tmp_path), six())
    assert f"goes on from step 4 of {tmp_path}" in capsys.readouterr().err
    assert steps_in(tmp_path) == [2, 4, 6]
    fewer = fit(3, tmp_path)  # than are saved
    assert_same(fewer, six())
    assert fewer.step == 6
    fit(8, tmp_path, tx=gc.adam(1e-3))  # another learning rate
    assert steps_in(tmp_path) == [4, 6, 8]


class Numbers:
    """An iterator over batches, as Grain's: it knows its position."""

    def __init__(self, as_bytes: bool, end: int = 100):
        self.at, self.as_bytes, self.end = 0, as_bytes, end

    def __iter__(self) -> "Numbers":
        return self

    def __next__(self) -> np.ndarray:
        if self.at == self.end:
            raise StopIteration
        self.at += 1
        return data(self.at - 1)

    def get_state(self) -> Any:
        return b"\xff%d" % self.at if self.as_bytes else {"at": self.at}

    def set_state(self, state: Any) -> None:
        self.at = int(state[1:]) if self.as_bytes else state["at"]


@pytest.mark.parametrize("as_bytes", [True, False])
def test_the_position_in_the_data_is_saved(as_bytes: bool, tmp_path: Path) -> None:
    fit(3, tmp_path, data=Numbers(as_bytes))
    assert_same(fit(6, tmp_path, data=Numbers(as_bytes)), six())
    with pytest.raises(ValueError, match="give such an iterator"):
        fit(7, tmp_path)


def test_data_that_cannot_be_resumed(tmp_path: Path) -> None:
    batches = [data(i) for i in range(6)]
    with pytest.raises(
        TypeError, match=r"data is a generator, which cannot tell its position.*data\(step\)"
    ):
        fit(6, tmp_path, data=(x for x in batches))
    with pytest.raises(TypeError, match="data is a list"):
        fit(6, tmp_path, data=batches)
    assert not any(tmp_path.iterdir())
    assert_same(fit(10, data=batches), six())  # the data ends first
    with pytest.raises(TypeError, match="data must be a function"):
        fit(6, data=3)
    fit(2, tmp_path)
    with pytest.raises(ValueError, match="hold no position"):
        fit(6, tmp_path, data=Numbers(False))


def test_an_end_of_the_data_is_saved(tmp_path: Path) -> None:
    assert fit(10, tmp_path, data=Numbers(True, end=3)).step == 3
    assert steps_in(tmp_path) == [2, 3]


def test_other_numbers_of_devices(tmp_path: Path) -> None:
    for devices, steps in ((8, 2), (2, 4), (1, 5)):
        rows, whole = (
            NamedSharding(mesh_of((devices,), "x"), P("x")),
            NamedSharding(mesh_of((devices,), "x"), P()),
        )
        placed = {
            "shardings": {"b": whole, "w": rows},
            "data": lambda i, to=whole: jax.device_put(data(i), to),
        }
        found = fit(steps, tmp_path, **placed)
        assert found.step == steps
        for tree in (found.params, found.opt_state[0].mu):
            assert tree["w"].sharding.is_equivalent_to(rows, 2)
    split = NamedSharding(mesh_of((8,), "x"), P(None, "x"))  # by which XLA would also split the parameters
    whole = NamedSharding(mesh_of((8,), "x"), P())
    found = fit(5, shardings=whole, data=lambda i: jax.device_put(data(i), split))
    assert found.params["w"].sharding.is_equivalent_to(whole, 2)
    last = fit(6, tmp_path)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), last.params, six().params)


def test_explicit_shardings(tmp_path: Path) -> None:
    if not hasattr(jax.sharding, "AxisType"):
        pytest.skip("this JAX has no explicit shardings")
    mesh = mesh_of((8,), "x", explicit=True)
    rows, whole = NamedSharding(mesh, P("x")), NamedSharding(mesh, P())

    def explicit(p: Any, batch: Any, key: Any) -> Any:
        return loss(p | {"w": jax.sharding.reshard(p["w"], whole)}, batch, key)

    given = {"shardings": {"b": whole, "w": rows}, "data": lambda i: jax.device_put(data(i), whole)}
    fit(2, tmp_path, loss=explicit, **given)
    found = fit(6, tmp_path, loss=explicit, **given)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found.params, six().params)
    assert found.params["w"].sharding.is_equivalent_to(rows, 2)


def test_states_of_every_kind_are_saved(tmp_path: Path) -> None:
    """Random keys, arrays in few bits, of low precision, and without numbers."""
    tx = gc.chain(gc.add_noise(0.1, 0.55, jax.random.key(1)), gc.quantize_state(TX, min_size=0))
    given = {
        "b": jnp.zeros(4, jnp.bfloat16),
        "e": jnp.zeros((0, 2)),
        "f": jnp.ones(4, jnp.float8_e4m3fn),
        "w": jnp.full((8, 4), 0.1, jnp.bfloat16),
    }
    many = {"params": given, "tx": tx}
    assert has_packed(tx.init(given))
    fit(2, tmp_path, **many)
    resumed, expected = fit(3, tmp_path, **many), fit(3, **many)
    assert jax.tree.structure(resumed.opt_state) == jax.tree.structure(expected.opt_state)
    for a, b in zip(*(jax.tree.leaves((x.params, x.opt_state)) for x in (resumed, expected)), strict=True):
        assert a.dtype == b.dtype
        if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
            assert (jax.random.key_data(a) == jax.random.key_data(b)).all()
        else:
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


DTYPES = [
    "bool",
    "int4",
    "int8",
    "uint16",
    "int32",
    "bfloat16",
    "float16",
    "float32",
    "float8_e5m2",
    "complex64",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_checksums(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2, (8, 3)).astype(jnp.dtype(dtype))
    mesh = mesh_of((4, 2), "x", "y")
    places = [NamedSharding(mesh, P(*spec)) for spec in (("x",), (("x", "y"),), ())]
    (number,) = {checksums({"x": y})["x"] for y in (x, *(jax.device_put(x, place) for place in places))}
    others = {"swapped": x[::-1].copy()}
    for at in ((0, 0), (7, 2), (3, 1)):
        others[str(at)] = x.copy()
        others[str(at)][at] = 1 - int(x[at].real)
    found = set(checksums(others).values())
    assert len(found) == len(others)
    assert number not in found


def test_thousands_of_steps_leave_nothing_behind() -> None:
    live: list[int] = []
    compiled: list[str] = []

    def listen(event: str, seconds: float, **unused: Any) -> None:
        if event.endswith("backend_compile_duration") and live:
            compiled.append(event)

    batch = data(0)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        see = lambda step, metrics: live.append(len(jax.live_arrays()))  # noqa: E731
        fit(3000, data=lambda step: batch, log_every=500, on_metrics=see)
    finally:
        jax.monitoring.clear_event_listeners()
    assert len(set(live[:-1])) == 1, live
    assert not compiled


def test_the_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert Bar(10, 0, shown=True).progress is None  # no terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Bar(10, 4, shown=True) as bar:
        bar.show(7, 0.25)
    text = capsys.readouterr().err
    assert "7/10" in text
    assert "loss 0.25" in text
    assert Bar(10, 0, shown=False).progress is None
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ImportError, match=r"gradchain\[train\]"):
        Bar(10, 0, shown=True)


@pytest.mark.parametrize("hosted", [False, True])
def test_states_that_say_where_they_lie_go_on(tmp_path: Path, hosted: bool) -> None:
    """ZeRO-1's parts, also in the host's memory."""
    mesh = mesh_of((8,), "x")
    tx = gc.zero1(gc.quantize_state(gc.adam(0.1), block=4, min_size=1), mesh, "x")
    tx = gc.offload_state(tx) if hosted else tx
    p = {"w": jnp.ones((8, 4)), "b": jnp.ones(8)}

    def run(steps: int, directory: Path | None) -> Any:
        where = {"directory": directory, "shardings": NamedSharding(mesh, P())}
        pull = lambda p, batch, key: jnp.sum((p["w"] - batch) ** 2) + jnp.sum(p["b"] ** 2)  # noqa: E731
        return gc.train.fit(pull, p, tx, lambda step: np.float32(step), steps, progress=False, **where)

    run(2, tmp_path)
    found, expected = run(4, tmp_path), run(4, None)
    assert_same(found, expected)
    codes = jax.tree.leaves(found.opt_state)[1]
    assert codes.addressable_shards[0].data.size == codes.size // 8
    assert (codes.sharding.memory_kind == "pinned_host") is hosted
