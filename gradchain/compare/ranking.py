"""Who is first, and who cannot be told apart from whom."""

import dataclasses

import numpy as np

from .results import Result
from .tasks import Task


def rank(task: Task, results: list[Result]) -> list[Result]:
    """Best first, each with its place.

    The best mean has the first place, and shares it with all whose interval overlaps the best one's. Of
    the others, the best has the next place, and so on. Whoever diverged on some seed comes after those
    who never did, and shares no place.
    """
    left = sorted(results, key=lambda result: _badness(task, result))
    placed: list[Result] = []
    while left:
        first, *others = left
        tied = [other for other in others if _tied(first, other)]
        place = "-" if first.deciding.mean is None else f"{len(placed) + 1}{'=' if tied else ''}"
        placed += [dataclasses.replace(result, place=place) for result in (first, *tied)]
        left = [other for other in others if other not in tied]
    return placed


def _tied(one: Result, other: Result) -> bool:
    if one.divergences or other.divergences:
        return False
    return one.deciding.overlaps(other.deciding)


def _badness(task: Task, result: Result) -> tuple[int, float]:
    value = result.deciding.mean
    if value is None:
        return len(result.diverged_at), np.inf
    return len(result.divergences), -value if task.score else value
