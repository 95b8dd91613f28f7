"""One small training in every layout of its arrays, on the devices of one process or of several."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

import gradchain as gc

STEPS = 4
SHAPES = {"w": (16, 32), "v": (32, 8), "b": (32,)}
ROWS: dict[str, Callable[[], Any]] = {
    "adamw": lambda: gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(0.01)),
    "adafactor": lambda: gc.adafactor(0.01, min_dim_size_to_factor=8),
    "muon": lambda: gc.muon(0.01),
    "8 bits": lambda: gc.quantize_state(gc.adamw(0.01), block=32, min_size=1),
}
LAYOUTS = {
    "adamw": ("data parallel", "zero1", "zero1, scattered", "fsdp", "tensor parallel"),
    **dict.fromkeys(("adafactor", "muon", "8 bits"), ("zero1", "tensor parallel")),
}


def start() -> dict[str, Any]:
    """The parameters at the beginning, in this process's memory."""
    rng = np.random.default_rng(0)
    return {name: (0.3 * rng.normal(size=shape)).astype("float32") for name, shape in SHAPES.items()}


def batch_of(step: int) -> dict[str, Any]:
    """The batch of a step, in this process's memory."""
    rng = np.random.default_rng(step + 1)
    return {
        "x": rng.normal(size=(16, 16)).astype("float32"),
        "y": rng.normal(size=(16, 8)).astype("float32"),
    }


def loss(params: Any, batch: Any) -> jax.Array:
    """The mean squared error of a layer and a half."""
    hidden = jnp.tanh(batch["x"] @ params["w"] + params["b"][None])
    return jnp.mean((hidden @ params["v"] - batch["y"]) ** 2)


def placed(tree: Any, shardings: Any) -> Any:
    """Global arrays: each process gives the shards of its own devices."""

    def place(x: Any, sharding: NamedSharding) -> jax.Array:
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(place, tree, shardings)


def whole(tree: Any) -> Any:
    """The arrays of a tree, whole, in this process's memory."""
    mesh = jax.tree.leaves(tree)[0].sharding.mesh
    gathered = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))(tree)
    return jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), gathered)


def share(state: Any) -> float:
    """The most bytes of a state that one device holds, as a part of the whole state."""
    held: dict[Any, int] = {}
    for x in jax.tree.leaves(state):
        for shard in x.addressable_shards:
            held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
    return max(held.values()) / sum(x.nbytes for x in jax.tree.leaves(state))


def run(tx: Any, params: Any, state: Any, batches: Callable[[int], Any], grad: Any) -> tuple[Any, Any]:
    """Parameters and state after all steps."""

    @jax.jit
    def step(params: Any, state: Any, batch: Any) -> Any:
        return tx.step(grad(params, batch), state, params)

    for i in range(STEPS):
        params, state = step(params, state, batches(i))
    return params, state


def trained(row: str, layout: str) -> tuple[Any, float]:
    """The parameters after training on all devices, whole, and the share of the state on one of them."""
    tx, grad = ROWS[row](), jax.grad(loss)
    devices = np.array(jax.devices())
    if layout == "tensor parallel":
        mesh = Mesh(devices.reshape(2, -1), ("data", "model"))
        specs = {"w": P(None, "model"), "v": P("model"), "b": P("model")}
    else:
        mesh = Mesh(devices, ("data",))
        specs = dict.fromkeys(SHAPES, P("data") if layout == "fsdp" else P())
    shardings = {name: NamedSharding(mesh, spec) for name, spec in specs.items()}
    params = placed(start(), shardings)
    if layout.startswith("zero1"):
        tx = gc.zero1(tx, mesh, "data")
        state = tx.init(params)
        if layout == "zero1, scattered":
            value_and_grad = gc.sharded_value_and_grad(loss, mesh, "data")
            grad = lambda params, batch: value_and_grad(params, batch)[1]  # noqa: E731
    else:
        state = gc.init_sharded(tx, params, shardings)
    rows = NamedSharding(mesh, P("data"))
    params, state = run(tx, params, state, lambda i: placed(batch_of(i), {"x": rows, "y": rows}), grad)
    for name, sharding in shardings.items():
        assert params[name].sharding.is_equivalent_to(sharding, params[name].ndim), (
            name,
            params[name].sharding,
        )
    return whole(params), share(state)


def alone(row: str) -> Any:
    """The parameters after training on one device."""
    tx, params = ROWS[row](), start()
    return run(tx, params, tx.init(params), batch_of, jax.grad(loss))[0]


def everything(rows: list[str]) -> dict[str, Any]:
    """What `trained` gives for these rows in their layouts, as JSON holds it."""
    found = {}
    for row in rows:
        for layout in LAYOUTS[row]:
            params, part = trained(row, layout)
            found[f"{row}: {layout}"] = {name: x.tolist() for name, x in params.items()} | {"share": part}
    return found
