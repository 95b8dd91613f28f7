"""Search and runs: an optimizer's rate and decay on a seed of their own, then other seeds with the best."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .contenders import Contender
from .scoring import median, steps_to
from .training import Outcome, Run, Trainer

TUNING_SEEDS = (100, 101, 102)
"""Every trial is run with the first; the best trials with the others too."""
KEPT = 3
SEEDS = tuple(range(7))
TARGET_SEEDS = tuple(range(200, 207))

Record = dict[str, Any]
"""What is kept of one optimizer on one workload, in JSON's types."""


def search(trainer: Trainer, contender: Contender, program: Any, target: float) -> list[Record]:
    """All trials of an optimizer, the best one first.

    Rates first, then decays around the best rate, with one seed; then the best three with two more
    seeds. Better is the median that is sooner at the target, then the one with less loss in the end.
    """
    every = trainer.workload.every

    def tried(pairs: Sequence[tuple[float, float]], seeds: Sequence[int]) -> list[Record]:
        runs = [Run(rate, decay, seed) for rate, decay in pairs for seed in seeds]
        if not runs:
            return []
        curves = trainer.run(program, runs).curve.reshape(len(pairs), len(seeds), -1)
        return [
            {
                "rate": rate,
                "decay": decay,
                "steps": [steps_to(curve, target, every) for curve in of],
                "loss": [number(curve[-1]) for curve in of],
            }
            for (rate, decay), of in zip(pairs, curves, strict=True)
        ]

    first = sorted(tried(contender.first(), TUNING_SEEDS[:1]), key=_worth)
    every_trial = sorted(first + tried(contender.second(first[0]["rate"]), TUNING_SEEDS[:1]), key=_worth)
    best, rest = every_trial[:KEPT], every_trial[KEPT:]
    again = tried([(trial["rate"], trial["decay"]) for trial in best], TUNING_SEEDS[1:])
    for trial, more in zip(best, again, strict=True):
        for what in ("steps", "loss"):
            trial[what] += more[what]
    return sorted(best, key=_worth) + rest


def _worth(trial: Record) -> tuple[float, float]:
    steps, loss = ([math.inf if x is None else x for x in trial[what]] for what in ("steps", "loss"))
    return median(steps), median(loss)


def edge(contender: Contender, trials: Sequence[Record]) -> str:
    """Whether the best trial's rate is the lowest "<" or the highest ">" that was tried; else ""."""
    rates = [trial["rate"] for trial in trials]
    if len(contender.rates) == 1:
        return ""
    return "<" if rates[0] == min(rates) else ">" if rates[0] == max(rates) else ""


def train(trainer: Trainer, contender: Contender, seeds: Sequence[int] = SEEDS) -> Record:
    """Tunes an optimizer on a workload and trains it with every seed."""
    target = trainer.workload.target
    program = trainer.program(contender)
    trials = search(trainer, contender, program, target)
    best = trials[0]
    found = trainer.run(program, [Run(best["rate"], best["decay"], seed) for seed in seeds])
    return {
        "rate": best["rate"],
        "decay": best["decay"],
        "edge": edge(contender, trials),
        "trials": trials,
        "seeds": list(seeds),
        **measured(found),
    }


def measured(found: Outcome) -> Record:
    """What runs measured, in JSON's types."""
    return {
        "curves": [[number(x) for x in curve] for curve in found.curve],
        "train_loss": [number(x) for x in found.train[:, -1]],
        "test_loss": [number(x) for x in found.test_loss],
        "test_accuracy": [number(x) for x in found.test_score],
    }


def number(x: Any) -> float | None:
    """Four digits of a number, None if it is not finite."""
    return float(f"{float(x):.4g}") if np.isfinite(x) else None


def find_target(trainer: Trainer, contender: Contender, share: float) -> tuple[float, Record]:
    """The median validation loss of a tuned optimizer at a share of the budget, over seeds of its own.

    Tuned for the least loss in the end. The first measurement at or after the share counts.
    """
    program = trainer.program(contender)
    best = search(trainer, contender, program, -math.inf)[0]
    found = trainer.run(program, [Run(best["rate"], best["decay"], seed) for seed in TARGET_SEEDS])
    at = math.ceil(share * found.curve.shape[1]) - 1
    return float(np.median(found.curve[:, at])), best
