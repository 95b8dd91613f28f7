"""AdamW in low precision beside AdamW in float32: bytes of its state, time of a step, losses at the end."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

import gradchain as gc

from ..harness import OURS, REFERENCE, Figure, Limit, benchmark, in_turns, module, seconds
from ..low_precision import COURSES, FULL, PLAIN, RECIPES, SEEDS, trained
from ..training import by_step, by_update
from ..trees import Tree, abstract, gpt2, random, size

SHAPES: Tree = {f"layer{i}": (1024, 1024) for i in range(16)}
SMALL = {"8-bit states": 2.1}
"""What a state may take at most, in bytes for each parameter."""
CLOSE = 1.01
"""What a final loss may be at most, as a share of float32's."""


def _typed(tree: Any, recipe: str) -> Any:
    """A tree in the dtype of a recipe's parameters."""
    dtype = RECIPES[recipe].dtype
    return jax.tree.map(
        lambda x: (
            jax.ShapeDtypeStruct(x.shape, dtype) if isinstance(x, jax.ShapeDtypeStruct) else x.astype(dtype)
        ),
        tree,
    )


def steps(recipe: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of a compiled step, parameters and state donated, in turns with both float32's."""
    optax, shapes = module(REFERENCE), SHAPES
    txs = {REFERENCE: optax.adamw(1e-3), FULL: gc.adamw(1e-3), OURS: RECIPES[recipe].around(gc.adamw(1e-3))}
    actions = {}
    for column, tx in txs.items():
        dtyped = functools.partial(_typed, recipe=recipe if column == OURS else FULL)
        params, grads = dtyped(random(shapes, 0)), dtyped(random(shapes, 1))
        step = by_update(optax, tx) if column == REFERENCE else by_step(tx)
        actions[column] = _action(jax.jit(step, donate_argnums=(0, 1)), params, tx.init(params), grads)
    return in_turns(actions, repeats)["step"]


def _action(program: Any, params: Any, state: Any, grads: Any) -> Any:
    carry = jax.tree.map(jnp.copy, (params, state))

    def run() -> dict[str, float]:
        def step() -> Any:
            nonlocal carry
            carry = program(*carry, grads)
            return carry

        return {"step": seconds(step, 5)}

    run()  # compiles
    return run


def run(recipe: str, repeats: int) -> list[Figure]:
    """The figures of a recipe."""
    tx = RECIPES[recipe].around(gc.adamw(1e-3))
    shapes = gpt2()
    kept = gc.memory(tx, _typed(abstract(shapes), recipe)).total / size(shapes)
    small = (Limit(SMALL[recipe], of=None),) if recipe in SMALL else ()
    close = () if recipe == PLAIN else (Limit(CLOSE, of=FULL),)
    losses = [
        Figure(
            recipe,
            "loss",
            {column: [r.final for r in trained(name, of)] for column, of in ((FULL, FULL), (OURS, recipe))},
            limits=close,
            table=f"test loss of {name} after {course.steps} steps, {SEEDS} seeds",
        )
        for name, course in COURSES.items()
    ]
    return [
        Figure(recipe, "bytes", {OURS: [kept]}, limits=small, table="state per parameter of GPT-2 small"),
        Figure(recipe, "s", steps(recipe, repeats), table="step on 16 arrays of 1024x1024"),
        *losses,
    ]


for _recipe in RECIPES:
    _name = _recipe.replace(", ", "_").replace(" ", "_").replace("-", "_")
    benchmark(f"precision/{_name}", "AdamW in low precision")(functools.partial(run, _recipe))
