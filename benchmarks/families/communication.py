"""Data parallel training that sends little: bytes of a step, and what is learned meanwhile."""

import functools

from ..communication import BATCH, DEVICES, PLAIN, RECIPES, STEPS, accuracy, gpt2_sent
from ..harness import OURS, Figure, Limit, benchmark
from ..worker import call

SEEDS, TESTS = 5, 359
FLAGS = f"--xla_force_host_platform_device_count={DEVICES}"
MOST = {
    "power_sgd, rank 4": 0.0075,
    "power_sgd, rank 32": 0.053,
    "sign_majority_vote": 0.063,
    "sign_majority_vote, errors kept": 0.063,
    "diloco, every 50": 0.0201,
    "diloco, every 500": 0.00201,
}
"""What a step may send at most, as a share of data parallel training's."""
WRONG = 12
"""How many of the digits' tests may be wrong at most, where training sends as little."""


@functools.cache
def _sent(recipe: str) -> float:
    return call(FLAGS, gpt2_sent, recipe)


@functools.cache
def _wrong(recipe: str) -> list[float]:
    return [TESTS * (1 - call(FLAGS, accuracy, recipe, seed)) for seed in range(SEEDS)]


def run(recipe: str, repeats: int) -> list[Figure]:
    """The figures of a recipe."""
    figures = []
    if recipe in MOST:
        found = {PLAIN: [_sent(PLAIN)], OURS: [_sent(recipe)]}
        limits = (Limit(MOST[recipe], of=PLAIN),)
        table = f"each of {DEVICES} devices sends at a step of GPT-2 small"
        figures.append(Figure(recipe, "bytes", found, limits=limits, table=table))
    if RECIPES[recipe].every <= STEPS:
        wrong = {PLAIN: _wrong(PLAIN), OURS: _wrong(recipe)}
        most = WRONG if recipe in MOST else None
        table = f"of {TESTS} digits wrong after {STEPS} steps of {DEVICES} x {BATCH}, {SEEDS} seeds"
        figures.append(Figure(recipe, "wrong", wrong, most=most, table=table))
    return figures


for _recipe in RECIPES:
    if _recipe != PLAIN:
        _name = _recipe.replace(", ", "_").replace(" ", "_")
        benchmark(f"communication/{_name}", "Data parallel training that sends little")(
            functools.partial(run, _recipe)
        )
