"""Data parallel training that sends little: bytes of a step, and what is learned meanwhile."""

import functools

from ..collectives import Collective, sent
from ..communication import BATCH, DEVICES, PLAIN, RECIPES, STEPS, accuracy, gpt2_exchanges
from ..harness import OURS, Figure, Limit, benchmark
from ..worker import call

SEEDS = 5
FLAGS = f"--xla_force_host_platform_device_count={DEVICES}"
MOST = {
    "power_sgd, rank 4": 0.02,
    "power_sgd, rank 32": 0.12,
    "sign_majority_vote": 0.063,
    "sign_majority_vote, errors kept": 0.063,
    "diloco, every 50": 0.021,
    "diloco, every 500": 0.0021,
}
"""What a step may send at most, as a share of data parallel training's."""


@functools.cache
def _sent(recipe: str) -> float:
    found = [
        Collective(op, tuple(shapes), n, c) for op, shapes, n, c in call(FLAGS, gpt2_exchanges, recipe)
    ]
    return sent(found, RECIPES[recipe].every)


@functools.cache
def _accuracies(recipe: str) -> list[float]:
    return [100 * call(FLAGS, accuracy, recipe, seed) for seed in range(SEEDS)]


def run(recipe: str, repeats: int) -> list[Figure]:
    """The figures of a recipe."""
    of_plain = (Limit(MOST[recipe], of=PLAIN),) if recipe in MOST else ()
    figures = [
        Figure(
            recipe,
            "bytes",
            {PLAIN: [_sent(PLAIN)], OURS: [_sent(recipe)]},
            limits=of_plain,
            table=f"each of {DEVICES} devices sends at a step of GPT-2 small",
        )
    ]
    if RECIPES[recipe].every <= STEPS:
        learned = {PLAIN: _accuracies(PLAIN), OURS: _accuracies(recipe)}
        table = f"digits: test accuracy after {STEPS} steps of {DEVICES} x {BATCH} examples, {SEEDS} seeds"
        figures.append(Figure(recipe, "%", learned, table=table))
    return figures


for _recipe in RECIPES:
    _name = _recipe.replace(", ", "_").replace(" ", "_")
    benchmark(f"communication/{_name}", "Data parallel training that sends little")(
        functools.partial(run, _recipe)
    )
