"""Whole training steps of wrappers: parameters and state donated, by `step` and by `update`."""

from functools import cache, partial

from .. import pytorch
from ..harness import COPY, OURS, REFERENCE, UPDATE, WITH_FLAGS, Figure, benchmark
from ..training import Bench, Case, in_both

ONE = {"w": (2048, 2048)}
SIX = {f"w{i}": (2048, 2048) for i in range(6)}

CASES = {
    "adamw": Case(lambda m: m.adamw(1e-3), ONE, torch="adamw"),
    "adamw_6": Case(lambda m: m.adamw(1e-3), SIX, torch="adamw"),
    "accumulation": Case(lambda m: m.MultiSteps(m.adamw(1e-3), 4), ONE, steps=4),
    "finite": Case(lambda m: m.apply_if_finite(m.adamw(1e-3), 3), SIX),
    "condition": Case(
        lambda m: m.conditionally_mask(m.adamw(1e-3), lambda step: step % 4 == 0), ONE, steps=4
    ),
    "lookahead": Case(lambda m: m.lookahead(m.adamw(1e-3), 6, 0.5), ONE, steps=6, pair=True),
}
LABELS = {
    "adamw_6": "adamw, 6 arrays",
    "accumulation": "MultiSteps(adamw, 4), 4 micro-steps",
    "finite": "apply_if_finite(adamw), 6 arrays",
    "condition": "conditionally_mask(adamw), 4 steps, 1 due",
    "lookahead": "lookahead(adamw, 6), 6 steps",
}
LIMITS = {"accumulation": 0.20, "finite": 0.60}
"""Of Optax's time, both without flags."""


@cache
def bench(name: str) -> Bench:
    """One of the cases, compiled once in a process."""
    return Bench(CASES[name], (REFERENCE, UPDATE, OURS))


def measure(name: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each column in this process."""
    return bench(name).seconds(repeats)


def run(name: str, repeats: int) -> list[Figure]:
    """The same without and with XLA's flags, and PyTorch's time."""
    case = CASES[name]
    samples = in_both(measure, name, repeats) | pytorch.columns(case.torch, case.shapes, repeats)
    hidden = (COPY, COPY + WITH_FLAGS, UPDATE + WITH_FLAGS)
    shown = {column: s for column, s in samples.items() if column not in hidden}
    return [Figure(LABELS.get(name, name), "s", shown, LIMITS.get(name))]


for _name in CASES:
    benchmark(f"step/{_name}", "training steps of 2048x2048 arrays")(partial(run, _name))
