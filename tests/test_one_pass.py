"""One pass over memory: barriers only where a compiled probe moves fewer bytes, then the least possible."""

import json
import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import gradchain as gc
from gradchain.core import _one_pass

FLAG = f"--xla_backend_extra_options={_one_pass.FLAG}"

PROGRAM = """
import json
import jax
import gradchain as gc

SIZE = 256 * 256
OPTIMIZERS = dict(
    sgd=gc.sgd(0.1), momentum=gc.sgd(0.1, 0.9), nesterov=gc.sgd(0.1, 0.9, nesterov=True),
    rmsprop=gc.rmsprop(0.1), centered=gc.rmsprop(0.1, centered=True, momentum=0.9),
    adagrad=gc.adagrad(0.1), adadelta=gc.adadelta(0.1), adam=gc.adam(0.1), adamw=gc.adamw(0.1),
    scheduled=gc.adamw(lambda count: 0.1 / (1 + count)), nadam=gc.nadam(0.1), nadamw=gc.nadamw(0.1),
    adamax=gc.adamax(0.1), adamaxw=gc.adamaxw(0.1), amsgrad=gc.amsgrad(0.1), adabelief=gc.adabelief(0.1),
    lion=gc.lion(0.1), radam=gc.radam(0.1), yogi=gc.yogi(0.1), rprop=gc.rprop(0.1),
    sign_sgd=gc.sign_sgd(0.1), signum=gc.signum(0.1), acprop=gc.contrib.acprop(0.1),
    ademamix=gc.contrib.ademamix(0.1), simplified_ademamix=gc.contrib.simplified_ademamix(0.1),
    adopt=gc.contrib.adopt(0.1), injected=gc.inject_hyperparams(gc.adamw)(0.1),
    partitioned=gc.partition({"a": gc.adamw(0.1), "b": gc.sgd(0.1)}, {"w": "a"}),
    masked=gc.adamw(0.1, mask={"w": True}), clipped=gc.chain(gc.clip(1.0), gc.sgd(0.1, 0.9)),
    decayed=gc.chain(gc.trace(0.9), gc.add_decayed_weights(0.01), gc.scale(-0.1)),
)

def words_moved(tx):
    params = {"w": jax.ShapeDtypeStruct((256, 256), "float32")}
    state = jax.eval_shape(tx.init, params)
    step = jax.jit(lambda params, state, grads: tx.step(grads, state, params), donate_argnums=(0, 1))
    bytes = step.lower(params, state, params).compile().cost_analysis()["bytes accessed"]
    kept = sum(x.size for x in jax.tree.leaves(state) if x.ndim)
    return round(bytes / 4 / SIZE, 1), 3 + 2 * kept // SIZE

print(json.dumps({name: words_moved(tx) for name, tx in OPTIMIZERS.items()}))
"""


def traced() -> str:
    """A step of Adam as JAX sees it, traced anew."""
    jax.clear_caches()
    tx, p = gc.adam(0.1), {"w": jnp.ones((256, 128)), "small": jnp.ones((4, 4))}
    return str(jax.make_jaxpr(tx.step)(p, tx.init(p), p))


def words(flags: str) -> dict[str, Any]:
    """For each optimizer: words moved for a parameter, and the least possible."""
    env = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_with_the_flag_memory_is_read_and_written_once() -> None:
    found = words(FLAG)
    assert len(found) > 30
    assert {name: moved for name, (moved, least) in found.items() if moved > least} == {}


def test_without_the_flag_nothing_is_hidden() -> None:
    assert _one_pass.FLAG not in os.environ["XLA_FLAGS"]
    assert "optimization_barrier" not in traced()


def test_a_flag_that_xla_has_not_read_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend has started without it: the probe finds more bytes behind barriers, not fewer."""
    jax.devices()
    monkeypatch.setattr(_one_pass, "_answers", {})
    monkeypatch.setenv("XLA_FLAGS", FLAG)
    assert "optimization_barrier" not in traced()
    assert list(_one_pass._answers.values()) == [2]  # the program as it is


def test_a_probe_that_does_not_compile_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(function: Any, args: Any) -> float:
        raise jax.errors.JaxRuntimeError("INTERNAL: no such loop")

    jax.devices()
    monkeypatch.setattr(_one_pass, "_answers", {})
    monkeypatch.setattr(_one_pass, "_bytes_moved", fail)
    monkeypatch.setenv("XLA_FLAGS", FLAG)
    assert "optimization_barrier" not in traced()


def test_what_is_computed_apart_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, derivatives and batches, with one barrier and with one for every result but the first."""
    p = {"w": jnp.arange(1.0, 2.0**15 + 1).reshape(256, 128)}
    tx = gc.adamw(0.1)

    def step(scale: Any) -> Any:
        g = jax.tree.map(lambda x: scale * x, p)
        return tx.step(g, tx.init(p), p)

    def results() -> Any:
        jax.clear_caches()
        batch = jax.vmap(step)(jnp.array([0.5, 1.0]))
        return step(1.0), jax.jvp(step, (1.0,), (1.0,)), batch

    plain = results()
    monkeypatch.setattr(_one_pass, "_is_possible", lambda: True)
    for way, barriers in ((0, 1), (1, 2)):
        monkeypatch.setattr(_one_pass, "_place_of_best", lambda *asked, way=way: way)
        monkeypatch.setattr(_one_pass, "_answers", {})
        assert traced().count("optimization_barrier") == barriers
        for ours, expected in zip(jax.tree.leaves(results()), jax.tree.leaves(plain), strict=True):
            if ours.dtype != jax.dtypes.float0:
                assert jnp.allclose(ours, expected, rtol=1e-6, atol=0)
    jax.clear_caches()
