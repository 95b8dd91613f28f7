"""Muon on 72 matrices: what a step costs to trace and to run."""

import functools
from functools import partial
from typing import Any

import jax

from ..harness import LIBRARIES, Figure, benchmark, in_turns, module, seconds
from ..training import Step, by_update
from ..trees import Tree, abstract, random

# Twelve layers of a small transformer: queries, keys, values and output; up and down.
SHAPES: Tree = {
    f"layer{i}": dict.fromkeys("qkvo", (128, 128)) | {"up": (128, 512), "down": (512, 128)}
    for i in range(12)
}


def training_step(library: str) -> tuple[Any, Step]:
    """The transformation, and a step of it."""
    lib = module(library)
    tx = lib.contrib.muon(1e-3)

    return tx, by_update(lib, tx)


def trace(library: str) -> dict[str, float]:
    """Seconds to trace and to compile one step, with all of JAX's caches cleared."""
    tx, step = training_step(library)
    params = abstract(SHAPES)
    state = jax.eval_shape(tx.init, params)
    jitted = jax.jit(step)
    jax.clear_caches()
    made: dict[str, Any] = {}

    def traced() -> None:
        made["traced"] = jitted.trace(params, state, params)

    def compiled() -> None:
        made["compiled"] = made["traced"].lower().compile()

    times = {"trace": seconds(traced), "lower and compile": seconds(compiled)}
    return times | {"lowered program": len(made["traced"].lower().as_text().splitlines())}


@benchmark("matrix/muon", "muon: 72 matrices of a small transformer")
def run(repeats: int) -> list[Figure]:
    """Trace, compilation, and the compiled step."""
    samples = in_turns({library: partial(trace, library) for library in LIBRARIES}, repeats)
    params, grads = random(SHAPES, 0), random(SHAPES, 1)
    actions = {}
    for library in LIBRARIES:
        tx, step = training_step(library)
        one = functools.partial(jax.jit(step), params, tx.init(params), grads)
        jax.block_until_ready(one())
        actions[library] = lambda one=one: {"step": seconds(one, 5)}
    samples |= in_turns(actions, repeats)
    limits = {"trace": 0.2, "step": 0.6}
    units = {"lowered program": "lines"}
    return [Figure(q, units.get(q, "s"), s, limits.get(q)) for q, s in samples.items()]
