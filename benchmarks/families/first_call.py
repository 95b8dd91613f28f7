"""What comes before the first step: tracing and compiling, a first un-jitted update, construction."""

from functools import partial
from itertools import count

import jax
import jax.numpy as jnp

from .. import worker
from ..harness import (
    FLAGGED,
    LIBRARIES,
    OURS,
    REFERENCE,
    WITH_FLAGS,
    Figure,
    Limit,
    benchmark,
    in_turns,
    module,
    seconds,
)
from ..training import by_step, by_update
from ..trees import random

MLP = {"w1": (64, 64), "b1": (64,), "w2": (64, 64), "b2": (64,), "w3": (64, 10), "b3": (10,)}
MOST_REPEATS = 2  # of what takes seconds, in a new process each time
_rates = count(1)


def jitted(library: str, arrays: int) -> dict[str, float]:
    """The first call of a compiled step, in a process where JAX itself has compiled something before."""
    jax.block_until_ready(jax.jit(lambda x: x + 1)(jnp.ones(2)))
    lib, params = module(library), random({f"w{i:04}": (64, 64) for i in range(arrays)}, 0)
    tx = lib.adamw(1e-3)
    step = by_step(tx) if library == OURS else by_update(lib, tx)
    compiled = jax.jit(step, donate_argnums=(0, 1))
    state, grads = tx.init(params), jax.tree.map(jnp.copy, params)
    return {"first call": seconds(lambda: compiled(params, state, grads))}


def unjitted(library: str) -> dict[str, float]:
    """The first `update` outside `jit`."""
    lib, params = module(library), random(MLP, 0)
    tx = lib.adamw(1e-3)
    state = jax.block_until_ready(tx.init(params))
    return {"first update": seconds(lambda: tx.update(params, state, params))}


def constructed(library: str) -> dict[str, float]:
    """A thousand optimizers, no two alike."""
    lib, start = module(library), next(_rates)
    rates = [1e-3 * (start + i / 1000) for i in range(1000)]
    return {"construction": seconds(lambda: [lib.adamw(rate) for rate in rates] and None)}


def measure_jitted(arrays: int, limit: float, repeats: int) -> list[Figure]:
    """Both libraries without and with XLA's flags."""
    actions = {
        library + suffix: partial(worker.call_fresh, flags, jitted, library, arrays)
        for suffix, flags in (("", worker.NONE), (WITH_FLAGS, worker.FLAGS))
        for library in LIBRARIES
    }
    samples = in_turns(actions, min(repeats, MOST_REPEATS))["first call"]
    name = f"first call of a compiled step, {arrays:,} arrays of 64x64"
    flagged = Limit(limit, FLAGGED, REFERENCE + WITH_FLAGS)
    return [Figure(name, "s", samples, limit, limits=(flagged,))]


TITLE = "before the first step"
for _arrays, _limit in ((500, 0.75), (2000, 0.5)):
    benchmark(f"first_call/{_arrays}", TITLE)(partial(measure_jitted, _arrays, _limit))


@benchmark("first_call/update", TITLE)
def first_update(repeats: int) -> list[Figure]:
    """Outside `jit`, where a first call compiles its pieces."""
    actions = {lib: partial(worker.call_fresh, worker.NONE, unjitted, lib) for lib in LIBRARIES}
    samples = in_turns(actions, repeats)["first update"]
    return [Figure("first un-jitted `update` of an MLP, 6 arrays", "s", samples, 1.0)]


@benchmark("first_call/construction", TITLE)
def construction(repeats: int) -> list[Figure]:
    """`adamw(rate)` with rates that no earlier call had."""
    actions = {library: partial(constructed, library) for library in LIBRARIES}
    in_turns(actions, 1)
    return [Figure("`adamw(rate)`, 1,000 rates", "s", in_turns(actions, repeats)["construction"], 1.0)]
