"""AdamW in low precision, trained. `python -m benchmarks.low_precision FILE` draws its losses."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gradchain as gc
from gradchain.compare.tasks import find, load

FULL = "float32"
PLAIN = "bfloat16 alone"
SEEDS = 5
POINTS = 40  # of a curve
SMALLEST = 256  # entries of an array whose state is made small, in these small models


class Recipe(NamedTuple):
    """A way to hold weights and states."""

    dtype: str  # of the parameters
    around: Callable[..., Any]  # from AdamW to the transformation


def _states(bits: Any) -> Callable[[Any], Any]:
    return lambda tx: gc.quantize_state(tx, bits, min_size=SMALLEST)


RECIPES = {
    FULL: Recipe("float32", lambda tx: tx),
    PLAIN: Recipe("bfloat16", lambda tx: tx),
    "master weights": Recipe("bfloat16", gc.with_master_weights),
    "Kahan": Recipe("bfloat16", gc.kahan),
    "split weights": Recipe("bfloat16", gc.with_split_weights),
    "stochastic rounding": Recipe("bfloat16", gc.stochastic_rounding),
    "8-bit states": Recipe("float32", _states(8)),
    "4-bit states": Recipe("float32", _states(4)),
    "float8 states": Recipe("float32", _states("float8")),
    "bfloat16 states": Recipe("float32", _states("bfloat16")),
    "split weights, 8-bit states": Recipe("bfloat16", lambda tx: gc.with_split_weights(_states(8)(tx))),
}
"""Names of the rows, and what they are."""


class Course(NamedTuple):
    """What is trained, and how long."""

    task: str
    learning_rate: float
    steps: int


COURSES = {"digits": Course("digits", 1e-3, 1000), "characters": Course("characters", 3e-3, 2000)}


class Run(NamedTuple):
    """The test losses of a seed on the way, and at the end."""

    steps: np.ndarray  # i64[POINTS]
    losses: np.ndarray  # f32[POINTS]

    @property
    def final(self) -> float:
        """The last loss."""
        return float(self.losses[-1])


def optimizer(recipe: str, course: Course) -> Any:
    """AdamW with a cosine schedule, in low precision."""
    rates = gc.cosine_decay_schedule(course.learning_rate, course.steps)
    return RECIPES[recipe].around(gc.adamw(rates, weight_decay=0.01))


@cache
def trained(name: str, recipe: str, seeds: int = SEEDS) -> list[Run]:
    """A course, once for each seed: the model computes in float32, its parameters are the recipe's."""
    course = COURSES[name]
    task = find(course.task)
    data = load(task, None)
    inputs, targets = (jnp.asarray(x) for x in data.train)
    tests = tuple(jnp.asarray(x[:1024]) for x in data.test)
    tx, dtype = optimizer(recipe, course), RECIPES[recipe].dtype

    def loss(params: Any, inputs: Any, targets: Any) -> Any:
        wide = jax.tree.map(lambda p: p.astype(jnp.float32), params)
        outputs: Any = task.model.apply(wide, inputs)
        return jnp.mean(task.loss(outputs, targets))

    @jax.jit
    def part(carry: Any, key: Any) -> Any:
        def step(carry: Any, key: Any) -> Any:
            params, state = carry
            batch = jax.random.randint(key, (task.batch_size,), 0, len(inputs))
            grads = jax.grad(loss)(params, inputs[batch], targets[batch])
            return tx.step(grads, state, params), None

        carry, _ = jax.lax.scan(step, carry, jax.random.split(key, course.steps // POINTS))
        return carry, loss(carry[0], *tests)

    def run(seed: int) -> Run:
        key, first = jax.random.split(jax.random.key(seed))
        start: Any = task.model.init(first, inputs[:1])
        params = jax.tree.map(lambda p: p.astype(dtype), start)
        carry, losses = (params, tx.init(params)), []
        for some in jax.random.split(key, POINTS):
            carry, value = part(carry, some)
            losses.append(float(value))
        steps = (1 + np.arange(POINTS)) * (course.steps // POINTS)
        return Run(steps, np.array(losses))

    return [run(seed) for seed in range(seeds)]


COLOURS = {
    FULL: "#222222",
    PLAIN: "#D55E00",
    "master weights": "#0072B2",
    "Kahan": "#56B4E9",
    "stochastic rounding": "#009E73",
    "8-bit states": "#E69F00",
    "4-bit states": "#CC79A7",
}
"""What is drawn; Okabe and Ito's colours."""


TITLES = {"digits": "Digits, a multilayer perceptron", "characters": "Characters, a small transformer"}


def draw(file: Path) -> None:
    """Draws the mean losses of all seeds, and how far they are from float32's."""
    from matplotlib.figure import Figure as Picture
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    picture = Picture(figsize=(13, 7.5), dpi=150, layout="constrained")
    grid = picture.subplots(2, 2, sharex="col", height_ratios=[3, 2])
    for (above, below), name in zip(grid.T, COURSES, strict=True):
        full = np.mean([run.losses for run in trained(name, FULL)], axis=0)
        for recipe, colour in COLOURS.items():
            runs = trained(name, recipe)
            mean, steps = np.mean([run.losses for run in runs], axis=0), runs[0].steps
            wide = 2.4 if recipe in (FULL, PLAIN) else 1.4
            above.plot(steps, mean, color=colour, linewidth=wide, label=f"{recipe}: {mean[-1]:.4f}")
            below.plot(steps, 100 * (mean / full - 1), color=colour, linewidth=wide)
        above.set_yscale("log")
        above.yaxis.set_major_locator(FixedLocator([0.2, 0.3, 0.5, 1, 2, 2.5, 2.6, 2.7, 2.8, 2.9]))
        above.yaxis.set_major_formatter(ScalarFormatter())
        above.yaxis.set_minor_locator(NullLocator())
        above.set_title(TITLES[name], loc="left", fontsize=12, fontweight="bold")
        above.legend(frameon=False, fontsize=9)
        below.axhspan(-1, 1, color="#eeeeee", zorder=0)
        below.set_ylim(-3, 3)
        below.set_xlabel("step")
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="#f0f0f0", which="both")
    grid[0][0].set_ylabel(f"test loss, mean of {SEEDS} seeds")
    grid[1][0].set_ylabel("% above float32's (grey: within 1%)")
    picture.savefig(file)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
