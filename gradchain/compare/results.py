"""What is reported of each contender: the means over its seeds, at its best learning rate."""

import dataclasses

import numpy as np

from .data import Data
from .exact import distance_to_least_squares
from .runner import SPLITS, History
from .stat import Stat
from .tasks import Task

TRAIN, VALIDATION, TEST = range(len(SPLITS))


@dataclasses.dataclass(frozen=True)
class RatePoint:
    """What one learning rate gave."""

    learning_rate: float
    validation: Stat  # of what decides
    test: Stat
    diverged: int  # seeds


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """One contender at its best learning rate."""

    name: str
    code: str
    learning_rate: float | None  # None: the one in its code
    deciding: Stat  # of the test score, or of the test loss: by this contenders are ranked
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
    sweep: tuple[RatePoint, ...]  # the rates to choose from; empty for one
    default: RatePoint | None  # the rate it was made with, beside a sweep
    step_loss: np.ndarray  # f32[steps, seeds], NaN from a divergence on
    test_curve: np.ndarray  # f32[rounds + 1, seeds] of what decides, NaN from a divergence on
    steps_per_round: int
    place: str = ""  # 1, 1= where it is shared, - for who always diverged; given by `rank`

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

    @property
    def edge(self) -> str:
        """On which side of its grid a better learning rate may be: "<", ">", or nowhere."""
        if not self.sweep or self.learning_rate is None:
            return ""
        ends = {self.sweep[0].learning_rate: "<", self.sweep[-1].learning_rate: ">"}
        return ends.get(self.learning_rate, "")


def divergence(history: History) -> np.ndarray:
    """The step, counted from 1, at which each run became infinite or NaN; 0 if none: i64[rates, seeds].

    No batch shows what the last update did. The measurement after it does.
    """
    bad = ~np.isfinite(history.step_loss)
    steps = np.where(bad.any(0), bad.argmax(0) + 1, 0)
    ended = ~np.isfinite(history.loss).all(0)
    return np.where((steps == 0) & ended, len(history.step_loss), steps)


def summarize(task: Task, data: Data, history: History) -> Result:
    """The report on one contender; the learning rate is chosen on the validation examples."""
    diverged = divergence(history)
    # A measurement after round r is of the parameters after step r * steps_per_round.
    measured_at = np.arange(len(history.test_loss))[:, None, None] * history.steps_per_round
    # A loss may become finite again. Still nothing that follows a divergence is reported.
    loss = np.where(diverged > 0, np.nan, history.loss)
    score = np.where(diverged > 0, np.nan, history.score)
    curves = np.where(
        (diverged > 0) & (diverged <= measured_at),
        np.nan,
        history.test_score if task.score else history.test_loss,
    )
    deciding = score if task.score else loss
    choices = len(history.contender.rates or (None,))
    best = _best_rate(task, deciding[:, :choices], loss[:, :choices], diverged[:choices])

    def point(i: int) -> RatePoint:
        lost = int((diverged[i] > 0).sum())
        rate = history.rates[i]
        assert rate is not None
        return RatePoint(rate, Stat.of(deciding[VALIDATION, i]), Stat.of(deciding[TEST, i]), lost)

    steps = np.arange(1, len(history.step_loss) + 1)[:, None]
    here = diverged[best]
    curve = curves[:, best]
    rate = history.rates[best]
    beside = history.contender.beside
    distance = distance_to_least_squares(history.params, data.train)[best] if task.exact else None
    return Result(
        name=history.contender.name,
        code=history.contender.code(rate),
        learning_rate=rate,
        deciding=Stat.of(deciding[TEST, best]),
        test_score=Stat.of(score[TEST, best]),
        train_score=Stat.of(score[TRAIN, best]),
        test_loss=Stat.of(loss[TEST, best]),
        train_loss=Stat.of(loss[TRAIN, best]),
        target_steps=tuple(_first_reached(task, c, history.steps_per_round) for c in curve.T),
        diverged_at=tuple(int(step) or None for step in here),
        distance=None if distance is None else Stat.of(distance),
        seconds_per_step=history.seconds_per_step,
        compile_seconds=history.compile_seconds,
        state_bytes=history.state_bytes,
        sweep=tuple(map(point, range(choices))) if choices > 1 else (),
        default=None if beside is None else point(history.rates.index(beside)),
        step_loss=np.where((here > 0) & (steps >= here), np.nan, history.step_loss[:, best]),
        test_curve=curve,
        steps_per_round=history.steps_per_round,
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


def _first_reached(task: Task, curve: np.ndarray, steps_per_round: int) -> int | None:
    """The number of steps after which a test curve first reached the task's target."""
    return next((r * steps_per_round for r, v in enumerate(curve) if task.reached(v)), None)
