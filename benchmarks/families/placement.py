"""AdamW's state for GPT-2 small on eight devices: what each holds, and what each sends at a step.

Nothing is trained: programs are compiled for shapes, and read.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import gradchain as gc

from .. import worker
from ..harness import OURS, REFERENCE, Figure, benchmark, module
from ..training import by_step, by_update
from ..trees import abstract, gpt2

DEVICES = 8
FLAGS = f"--xla_force_host_platform_device_count={DEVICES}"
EVERYWHERE, ZERO1, ZERO1_8BIT, SPLIT, HOST = LAYOUTS = (
    "on every device",
    "ZeRO-1",
    "ZeRO-1, 8 bits",
    "parameters split too",
    "ZeRO-1, in the host's memory",
)
STATE = "bytes of the state in a device's memory"
SENT = "bytes that a device sends at a step"
SHARE = 0.15
"""What ZeRO-1 may keep on a device at most, as a share of the whole state."""


def _mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), ("data",))


def _cut(shape: tuple[int, ...]) -> PartitionSpec:
    """The largest dimension that the devices divide."""
    fits = [i for i, n in enumerate(shape) if n % DEVICES == 0]
    best = max(fits, key=lambda i: shape[i], default=None)
    return PartitionSpec() if best is None else PartitionSpec(*[None] * best, "data")


def _placed(layout: str, mesh: Mesh) -> tuple[Any, Any]:
    """A transformation, and the shapes of the parameters where they lie."""
    adamw = gc.adamw(1e-3)
    zero1 = functools.partial(gc.zero1, mesh=mesh)
    txs = {
        EVERYWHERE: adamw,
        ZERO1: zero1(adamw),
        ZERO1_8BIT: zero1(gc.quantize_state(adamw, block=96)),  # an eighth of 768 columns
        SPLIT: adamw,
        HOST: gc.offload_state(zero1(adamw)),
    }
    cut = _cut if layout == SPLIT else lambda shape: PartitionSpec()

    def place(p: Any) -> Any:
        return jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=NamedSharding(mesh, cut(p.shape)))

    return txs[layout], jax.tree.map(place, abstract(gpt2()))


def kept(layout: str) -> float:
    """The bytes of the state in the memory of each device."""
    tx, params = _placed(layout, _mesh())
    shapes = jax.eval_shape(tx.init, params)
    places = jax.tree.leaves(gc.state_sharding(tx, params))
    total = 0
    for x, place in zip(jax.tree.leaves(shapes), places, strict=True):
        if place.memory_kind != "pinned_host":
            total += int(np.prod(place.shard_shape(x.shape))) * x.dtype.itemsize
    return float(total)


def exchanged(library: str, layout: str) -> float:
    """The bytes that each device sends at a whole step of data parallelism, by the compiled program."""
    mesh = _mesh()
    tx, params = _placed(layout, mesh)
    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("data"))

    def loss(params: Any, batch: Any) -> Any:
        """Linear, so that an example is its gradient."""
        products = jax.tree.map(lambda p, x: jnp.sum(p[None] * x) / x.shape[0], params, batch)
        return sum(jax.tree.leaves(products))

    if library == REFERENCE:
        optax = module(REFERENCE)
        tx, value_and_grad = optax.adamw(1e-3), jax.value_and_grad(loss)
        take = by_update(optax, tx)
        places: Any = jax.tree.map(lambda _: whole, jax.eval_shape(tx.init, params))
    else:
        scattered = layout.startswith(ZERO1)
        value_and_grad = gc.sharded_value_and_grad(loss, mesh) if scattered else jax.value_and_grad(loss)
        take, places = by_step(tx), gc.state_sharding(tx, params)

    def step(params: Any, state: Any, batch: Any) -> Any:
        return take(params, state, value_and_grad(params, batch)[1])

    def place(x: Any, sharding: Any, *leading: int) -> Any:
        return jax.ShapeDtypeStruct((*leading, *x.shape), x.dtype, sharding=sharding)

    state = jax.tree.map(place, jax.eval_shape(tx.init, params), places)
    batch = jax.tree.map(lambda p: place(p, split, DEVICES), params)
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(params, state, batch).compile()
    return gc.bytes_sent(compiled)


@benchmark("placement", f"AdamW on GPT-2 small, {DEVICES} devices")
def run(repeats: int) -> list[Figure]:
    """Exact numbers: they do not vary. Optax has one layout: everything on every device."""
    full = worker.call(FLAGS, kept, EVERYWHERE)
    figures = []
    for layout in LAYOUTS:
        samples = {REFERENCE: [full], OURS: [worker.call(FLAGS, kept, layout)]}
        most = SHARE if layout.startswith(ZERO1) else None
        figures.append(Figure(layout, "bytes", samples, most_ratio=most, table=STATE))
    plain = worker.call(FLAGS, exchanged, REFERENCE, EVERYWHERE)
    for layout in (EVERYWHERE, ZERO1, ZERO1_8BIT, HOST):
        samples = {REFERENCE: [plain], OURS: [worker.call(FLAGS, exchanged, OURS, layout)]}
        figures.append(Figure(layout, "bytes", samples, most_ratio=1.01, table=SENT))
    return figures
