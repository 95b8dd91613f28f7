"""Who is first, and who cannot be told apart from whom."""

import dataclasses
from collections import Counter

import numpy as np

from .results import Result
from .tasks import Task


def rank(task: Task, results: list[Result]) -> list[Result]:
    """Best mean first, each with its place: one more than the number of those that are better for sure.

    Better for sure is whose confidence interval lies wholly on the better side. So all whose intervals
    overlap the best one's share the first place. Whoever diverged on some seed comes after those who
    never did.
    """
    ranked = sorted(results, key=lambda result: _badness(task, result))
    numbers = [1 + sum(_surely_better(task, other, result) for other in ranked) for result in ranked]
    times = Counter(numbers)
    return [
        dataclasses.replace(result, place=_place(result, number, times[number]))
        for result, number in zip(ranked, numbers, strict=True)
    ]


def _place(result: Result, number: int, times: int) -> str:
    if result.deciding.mean is None:
        return "-"
    return f"{number}=" if times > 1 else str(number)


def _surely_better(task: Task, one: Result, other: Result) -> bool:
    if len(one.divergences) != len(other.divergences):
        return len(one.divergences) < len(other.divergences)
    if one.deciding.mean is None or other.deciding.mean is None:
        return False
    ahead = one.deciding.mean - other.deciding.mean
    widths = (one.deciding.half_width or 0.0) + (other.deciding.half_width or 0.0)
    return (ahead if task.score else -ahead) > widths


def _badness(task: Task, result: Result) -> tuple[int, float]:
    value = result.deciding.mean
    if value is None:
        return len(result.diverged_at), np.inf
    return len(result.divergences), -value if task.score else value
