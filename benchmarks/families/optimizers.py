"""Adam and AdamW: what a training step costs from Python to the machine's memory."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from .. import pytorch
from ..harness import (
    LIBRARIES,
    OURS,
    REFERENCE,
    UPDATE,
    Figure,
    benchmark,
    bytes_accessed,
    in_turns,
    module,
    seconds,
)
from ..training import Bench, Case, Step, by_update, merged
from ..trees import TREES, Tree, abstract, random

LIMITS = {"trace": 0.30, "lower": 0.65, "un-jitted step": 0.35, "bytes accessed": 1.0}
"""Of Optax's figure, on 500 leaves, where Python's share is the largest; bytes everywhere."""


def training_step(library: str, optimizer: str) -> tuple[Any, Step]:
    """The transformation, and a step of it: the update and putting it into the parameters."""
    lib = module(library)
    tx = getattr(lib, optimizer)(1e-3)

    return tx, by_update(lib, tx)


def stages(library: str, optimizer: str, shapes: Tree) -> dict[str, float]:
    """Seconds to trace, to lower and to compile one step, with all of JAX's caches cleared.

    Both libraries' functions are made anew. The caches have to go too, since equal factories of
    gradchain return one object, whose inner `jit`s would remember the previous repeat.
    """
    tx, step = training_step(library, optimizer)
    params = abstract(shapes)
    state = jax.eval_shape(tx.init, params)
    jitted = jax.jit(step, donate_argnums=(0, 1))
    jax.clear_caches()
    made: dict[str, Any] = {}

    def trace() -> None:
        made["traced"] = jitted.trace(params, state, params)

    def lower() -> None:
        made["lowered"] = made["traced"].lower()

    def compile() -> None:
        made["compiled"] = made["lowered"].compile()

    times = {f.__name__: seconds(f) for f in (trace, lower, compile)}
    return times | {
        "lowered program": len(made["lowered"].as_text().splitlines()),
        "bytes accessed": bytes_accessed(made["compiled"]),
    }


def jitted_steps(optimizer: str, shapes: Tree, repeats: int) -> dict[str, list[float]]:
    """Seconds per compiled step, with parameters and state donated, which are put anew once."""
    bench = Bench(Case(lambda m: getattr(m, optimizer)(1e-3), shapes), (REFERENCE, UPDATE))
    samples = merged([bench.seconds((repeats + 1) // 2) for _ in range(2)])
    ours = {REFERENCE: samples[REFERENCE], OURS: samples[UPDATE]}
    return ours | pytorch.columns(optimizer, shapes, repeats)


def eager_steps(optimizer: str, shapes: Tree, repeats: int) -> dict[str, list[float]]:
    """Seconds per step outside `jit`, always from the same parameters and state."""
    grads, params = random(shapes, 1), random(shapes, 0)
    steps: dict[str, Any] = {}
    for library in LIBRARIES:
        tx, step = training_step(library, optimizer)
        steps[library] = partial(step, params, tx.init(params), grads)
    return _alternate(lambda library: steps[library](), repeats)


def _alternate(one: Callable[[str], Any], repeats: int) -> dict[str, list[float]]:
    """Seconds per call for each library, so many in a row that a measurement takes 0.1 s."""
    for library in LIBRARIES:
        jax.block_until_ready(one(library))
    start = time.perf_counter()
    jax.block_until_ready(one(LIBRARIES[0]))
    times = max(1, round(0.1 / (time.perf_counter() - start)))
    actions = {
        library: lambda library=library: {"step": seconds(lambda: one(library), times)}
        for library in LIBRARIES
    }
    return in_turns(actions, repeats)["step"]


def run(optimizer: str, tree: str, repeats: int) -> list[Figure]:
    """All figures of one optimizer on one tree."""
    shapes = TREES[tree][1]
    limits = LIMITS if tree == "500-leaves" else {"bytes accessed": 1.0}
    units = {"lowered program": "lines", "bytes accessed": "bytes"}
    samples = in_turns(
        {library: partial(stages, library, optimizer, shapes) for library in LIBRARIES}, repeats
    )
    samples["step"] = jitted_steps(optimizer, shapes, repeats)
    samples["un-jitted step"] = eager_steps(optimizer, shapes, repeats)
    jax.clear_caches()
    return [Figure(q, units.get(q, "s"), s, limits.get(q)) for q, s in samples.items()]


for _optimizer, _tree in (("adam", "500-leaves"), *(("adamw", tree) for tree in TREES)):
    benchmark(f"{_optimizer}/{_tree}", f"{_optimizer}: {TREES[_tree][0]}")(partial(run, _optimizer, _tree))
