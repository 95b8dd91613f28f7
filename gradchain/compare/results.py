"""What is reported of each contender: the means over its seeds, at its best learning rate."""

import dataclasses
from typing import Any

import numpy as np

from .data import Data
from .exact import distance_to_least_squares
from .runner import SPLITS, History
from .tasks import Task

TRAIN, VALIDATION, TEST = range(len(SPLITS))


@dataclasses.dataclass(frozen=True)
class Stat:
    """Mean and standard deviation over the seeds that stayed finite; None if no seed did."""

    mean: float | None
    std: float | None

    @classmethod
    def of(cls, values: np.ndarray) -> "Stat":
        finite = np.asarray(values, np.float64)[np.isfinite(values)]
        if not len(finite):
            return cls(None, None)
        return cls(float(finite.mean()), float(finite.std(ddof=1)) if len(finite) > 1 else 0.0)


@dataclasses.dataclass(frozen=True)
class RatePoint:
    """One learning rate of a sweep."""

    learning_rate: float
    validation: Stat
    test: Stat
    diverged: int  # seeds


@dataclasses.dataclass(frozen=True)
class Result:
    """One contender at its best learning rate."""

    name: str
    code: str
    learning_rate: float | None  # None: the one in its code
    test_score: Stat
    train_score: Stat
    test_loss: Stat
    train_loss: Stat
    target_steps: tuple[int | None, ...]  # for each seed, None: never reached
    diverged_at: tuple[int | None, ...]  # for each seed, None: stayed finite
    distance: Stat | None  # to the least-squares solution
    seconds_per_step: float
    compile_seconds: float
    state_bytes: int
    sweep: tuple[RatePoint, ...]
    step_loss: np.ndarray  # f32[steps, seeds], NaN from a divergence on
    test_curve: np.ndarray  # f32[epochs + 1, seeds] of what decides, NaN from a divergence on
    steps_per_epoch: int

    @property
    def steps_to_target(self) -> float | None:
        """The median over the seeds; None unless more than half of them reached it."""
        steps = sorted(np.inf if s is None else s for s in self.target_steps)
        median = float(np.median(steps))
        return median if np.isfinite(median) else None

    @property
    def divergences(self) -> list[int]:
        """The steps at which seeds diverged."""
        return sorted(step for step in self.diverged_at if step is not None)


def divergence(history: History) -> np.ndarray:
    """The step, counted from 1, at which each run became infinite or NaN; 0 if none: i64[rates, seeds].

    No batch shows what the last update did. The measurement after it does.
    """
    bad = ~np.isfinite(history.step_loss)
    steps = np.where(bad.any(0), bad.argmax(0) + 1, 0)
    ended = ~np.isfinite(history.loss[-1]).all(0)
    return np.where((steps == 0) & ended, len(history.step_loss), steps)


def summarize(task: Task, data: Data, history: History) -> Result:
    """The report on one contender; a sweep's choice is made on the validation examples."""
    diverged = divergence(history)
    epochs = np.arange(len(history.loss))
    # A measurement after epoch e is of the parameters after step e * steps_per_epoch.
    gone = (diverged > 0) & (diverged <= epochs[:, None, None] * history.steps_per_epoch)
    # A loss may become finite again. Still nothing that follows a divergence is reported.
    loss = np.where(gone[:, None], np.nan, history.loss)
    score = np.where(gone[:, None], np.nan, history.score)
    deciding = score if task.score else loss
    best = _best_rate(task, deciding[-1], loss[-1], diverged)

    steps = np.arange(1, len(history.step_loss) + 1)[:, None]
    here = diverged[best]
    curve = deciding[:, TEST, best]
    rate = history.rates[best]
    distance = distance_to_least_squares(history.params, data.train)[best] if task.exact else None
    return Result(
        name=history.contender.name,
        code=history.contender.code(rate),
        learning_rate=rate,
        test_score=Stat.of(score[-1, TEST, best]),
        train_score=Stat.of(score[-1, TRAIN, best]),
        test_loss=Stat.of(loss[-1, TEST, best]),
        train_loss=Stat.of(loss[-1, TRAIN, best]),
        target_steps=tuple(_first_reached(task, c, history.steps_per_epoch) for c in curve.T),
        diverged_at=tuple(int(step) or None for step in here),
        distance=None if distance is None else Stat.of(distance),
        seconds_per_step=history.seconds_per_step,
        compile_seconds=history.compile_seconds,
        state_bytes=history.state_bytes,
        sweep=_sweep(history.rates, deciding[-1], diverged),
        step_loss=np.where((here > 0) & (steps >= here), np.nan, history.step_loss[:, best]),
        test_curve=curve,
        steps_per_epoch=history.steps_per_epoch,
    )


def _best_rate(task: Task, deciding: np.ndarray, loss: np.ndarray, diverged: np.ndarray) -> int:
    """The learning rate with the fewest divergences, then the best on validation.

    The means are made worse by their standard error. Otherwise a rate whose seeds disagree could win
    by luck, since a grid has many rates.
    """

    def badness(i: int) -> tuple[float, float, float]:
        lost = float((diverged[i] > 0).sum())
        value, tie = Stat.of(deciding[VALIDATION, i]), Stat.of(loss[VALIDATION, i])
        if value.mean is None or value.std is None or tie.mean is None:
            return lost, np.inf, np.inf
        error = value.std / float(np.sqrt(diverged.shape[1]))
        return lost, (-value.mean if task.score else value.mean) + error, tie.mean

    return min(range(len(diverged)), key=badness)


def _first_reached(task: Task, curve: np.ndarray, steps_per_epoch: int) -> int | None:
    """The number of steps after which a test curve first reached the task's target."""
    return next((e * steps_per_epoch for e, v in enumerate(curve) if task.reached(v)), None)


def _sweep(rates: Any, deciding: np.ndarray, diverged: np.ndarray) -> tuple[RatePoint, ...]:
    if len(rates) == 1:
        return ()
    return tuple(
        RatePoint(
            rate, Stat.of(deciding[VALIDATION, i]), Stat.of(deciding[TEST, i]), int((diverged[i] > 0).sum())
        )
        for i, rate in enumerate(rates)
    )


def rank(task: Task, results: list[Result]) -> list[Result]:
    """Best first. Whoever diverged on some seed comes after those who never did."""

    def badness(result: Result) -> tuple[int, float]:
        value = (result.test_score if task.score else result.test_loss).mean
        if value is None:
            return len(result.diverged_at), np.inf
        return len(result.divergences), -value if task.score else value

    return sorted(results, key=badness)
