"""Small trainings on eight devices, for the tests of what communicates."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from devices import eight
from jax.sharding import Mesh, PartitionSpec as P

import gradchain as gc

N, STEPS = 8, 6
shard_map = getattr(jax, "shard_map", None)
if shard_map is None:
    pytest.skip("jax.shard_map came with JAX 0.6", allow_module_level=True)


def mesh(devices: int = N) -> Mesh:
    return Mesh(np.array(eight()[:devices]), ("data",))


def problem(devices: int = N, steps: int = STEPS) -> tuple[Any, Any]:
    """Parameters, and each device's gradients (devices, steps, ...): with zeros, ties, odd sizes."""
    rng = np.random.default_rng(0)
    p = {
        "b": rng.normal(size=5),
        "conv": rng.normal(size=(2, 3, 2)),
        "s": 0.5,
        "w": rng.normal(size=(7, 4)),
    }
    p = jax.tree.map(lambda x: np.asarray(x, np.float32), p)
    g = jax.tree.map(lambda x: rng.normal(size=(devices, steps, *x.shape)).astype(np.float32), p)
    g["w"][:, :, 0] = 0  # a row that nobody uses
    g["b"][::2, :, 1] = -np.abs(g["b"][1::2, :, 1])  # as many on one side as on the other
    g["b"][1::2, :, 1] = np.abs(g["b"][1::2, :, 1])
    return p, g


def train(tx: Any, whole: bool = True) -> Callable[..., Any]:
    """All steps of one device, from its own arrays: the parameters on the way, and the state."""

    def run(p: Any, state: Any, g: Any) -> Any:
        def step(carry: Any, g: Any) -> Any:
            p, state = carry
            if whole:
                p, state = tx.step(g, state, p)
            else:
                u, state = tx.update(g, state, p)
                p = gc.apply_updates(p, u)
            return (p, state), p

        (_, state), way = jax.lax.scan(step, (p, state), g)
        return way, state

    return run


def on_devices(f: Callable[..., Any], devices: int = N, check: bool = True) -> Any:
    """`f` on each device; every array it gets and gives has an axis of devices in front."""

    def own(*args: Any) -> Any:
        return jax.tree.map(lambda x: x[None], f(*jax.tree.map(lambda x: x[0], args)))

    spec = P("data")
    return jax.jit(
        shard_map(own, mesh=mesh(devices), in_specs=spec, out_specs=spec, check_vma=check)  # type: ignore[misc]
    )


def for_all(tree: Any, devices: int = N) -> Any:
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (devices, *jnp.shape(x))), tree)


def mean(axis: str = "data") -> Any:
    return gc.stateless(lambda g, p: jax.lax.pmean(g, axis))


LR = 0.1
OUTER = gc.sgd(0.7, momentum=0.9, nesterov=True)
TXS = {
    "power_sgd": gc.chain(gc.power_sgd(2, min_compression_rate=0), gc.sgd(LR)),
    "started": gc.chain(gc.power_sgd(1, min_compression_rate=0, start_iter=2), gc.sgd(LR)),
    "vote": gc.chain(gc.sign_majority_vote(), gc.sgd(LR)),
    "errors": gc.chain(gc.sign_majority_vote(error_feedback=True), gc.sgd(LR)),
    "diloco": gc.diloco(gc.sgd(LR), OUTER, 3),
}


@functools.cache
def trained(name: str, devices: int = N) -> tuple[Any, Any]:
    """Every device's parameters (devices, steps, ...) and its state, with checked types."""
    p, g = problem(devices)
    run = on_devices(train(TXS[name]), devices)
    return run(for_all(p, devices), for_all(TXS[name].init(p), devices), g)
