"""Groups of parameters by name: what eight of them cost more than one."""

from collections.abc import Callable
from itertools import count
from typing import Any

import jax
import jax.numpy as jnp

from ..harness import NOISE, OURS, REFERENCE, Figure, Limit, benchmark, in_turns, module, seconds
from ..training import by_step, by_update
from ..trees import Tree, abstract, gpt2, random

SHAPES = gpt2(12, 256)
SMALL = {f"layer_{i}": {f"w{j}": (16, 16) for j in range(8)} for i in range(8)}
STEPS = 5
PLAIN, ONE, EIGHT = "adamw", "one group", "eight groups"
_rates = count(1)


def by_name(tree: Tree) -> dict[str, str]:
    """A pattern for each of seven groups; the eighth is the rest."""
    if tree is SMALL:
        return {f"g{i}": rf"layer_{i}/.*" for i in range(7)}
    layers = {f"g{i}": rf"h/({2 * i}|{2 * i + 1})/.*" for i in range(6)}
    return {**layers, "embeddings": r"wte|wpe"}


def transformation(column: str, tree: Tree) -> Any:
    """AdamW at a rate that no earlier one had, so that nothing is traced already."""
    rate = 1e-3 * (1 + next(_rates) / 1000)
    lib = module(REFERENCE if column == REFERENCE else OURS)
    base = lib.adamw(rate)
    if column == PLAIN:
        return base
    if column == ONE:
        return lib.groups({".*": base})
    patterns = by_name(tree)
    if column == EIGHT:
        rules = {p: lib.scaled_group(lr=0.9**i) for i, p in enumerate(patterns.values())}
        return lib.groups(rules, default=base)
    txs = {name: lib.adamw(rate * 0.9**i) for i, name in enumerate(patterns)} | {"rest": base}
    return lib.partition(txs, labels(tree, patterns))


def labels(tree: Tree, patterns: dict[str, str]) -> Any:
    """Optax's labels for the same groups."""
    import re

    from gradchain.tree import paths

    def label(path: str) -> str:
        return next((name for name, p in patterns.items() if re.fullmatch(p, path)), "rest")

    return jax.tree.map(label, paths(abstract(tree)))


def step_of(column: str, tx: Any) -> Callable[[Any, Any, Any], Any]:
    """A training step."""
    return by_update(module(REFERENCE), tx) if column == REFERENCE else by_step(tx)


def traced(column: str) -> dict[str, float]:
    """Tracing one step, nothing of it known."""
    shapes = abstract(SHAPES)
    tx = transformation(column, SHAPES)
    state = jax.eval_shape(tx.init, shapes)
    step = step_of(column, tx)
    jax.clear_caches()
    return {"trace": seconds(lambda: jax.jit(step).trace(shapes, state, shapes) and None)}


def compiled(column: str) -> Callable[[], dict[str, float]]:
    """Compiled training steps, parameters and state donated."""
    tx, params = transformation(column, SHAPES), random(SHAPES, 0)
    program = jax.jit(step_of(column, tx), donate_argnums=(0, 1))
    carry = jax.tree.map(jnp.copy, (params, tx.init(params)))

    def run() -> Any:
        nonlocal carry
        for _ in range(STEPS):
            carry = program(*carry, params)
        return carry

    run()
    return lambda: {"compiled step": seconds(run) / STEPS}


def unjitted(column: str) -> Callable[[], dict[str, float]]:
    """Steps outside `jit`, of 64 small arrays."""
    tx, params = transformation(column, SMALL), random(SMALL, 0)
    step, state = step_of(column, tx), tx.init(params)

    def run() -> Any:
        p, s = params, state
        for _ in range(STEPS):
            p, s = step(p, s, params)
        return p

    run()
    return lambda: {"un-jitted step, 64 arrays": seconds(run) / STEPS}


@benchmark("groups/8", "eight groups of AdamW by name, GPT-2 of 12 layers and width 256: 148 arrays")
def groups(repeats: int) -> list[Figure]:
    """`groups` with eight learning rates against one group, AdamW alone, and `optax.partition`."""
    columns = (REFERENCE, PLAIN, ONE, EIGHT)
    actions = {column: lambda c=column: traced(c) for column in columns}
    in_turns(actions, 1)
    samples = in_turns(actions, repeats)
    samples |= in_turns({column: compiled(column) for column in columns}, repeats)
    samples |= in_turns({column: unjitted(column) for column in columns}, repeats)
    limits = {"trace": (Limit(1.3, EIGHT, ONE),), "compiled step": (Limit(1.05, EIGHT, ONE),)}
    slower = (Limit(NOISE, EIGHT, REFERENCE),)
    return [Figure(name, "s", of, limits=limits.get(name, slower)) for name, of in samples.items()]
