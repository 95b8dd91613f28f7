"""Scores: steps to a target, intervals, pairs of seeds, and AlgoPerf's performance profiles.

Reference: Dahl et al., 2023, Benchmarking Neural Network Training Algorithms, arXiv:2306.07179; Dolan and
More, 2002, Benchmarking optimization software with performance profiles.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

INFINITE = math.inf
MAX_TAU = 4.0
"""How many times slower than the best still counts, as in AlgoPerf."""

Times = Mapping[str, Mapping[str, float]]
"""Workload to optimizer to time or steps; infinite where the target was not reached."""


def steps_to(curve: Sequence[float | None], target: float, every: int) -> int | None:
    """The step of the first measurement at or below the target; None if there is none.

    Args: curve, the validation loss after each `every` steps; None or NaN where it was not finite.
    """
    for i, value in enumerate(curve, 1):
        if value is not None and value <= target:
            return i * every
    return None


def median(values: Sequence[float]) -> float:
    """The median, where infinite values count as the largest; infinite if a middle one is."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


class Summary(NamedTuple):
    """Some seeds' steps: the median and the range, which covers the true median with 1 - 2^(1 - n)."""

    median: float
    low: float
    high: float
    reached: int
    of: int


def summary(steps: Sequence[int | None]) -> Summary:
    """The median, the range and the share of seeds that reached the target."""
    values = [INFINITE if step is None else float(step) for step in steps]
    reached = sum(map(math.isfinite, values))
    return Summary(median(values), min(values), max(values), reached, len(values))


def coverage(seeds: int) -> float:
    """How surely the range of so many seeds covers the median, whatever the distribution."""
    return 1 - 2.0 ** (1 - seeds)


def verdict(ours: Sequence[float | None], reference: Sequence[float | None]) -> str:
    """Who is ahead: "faster" or "slower" if no pair of seeds disagrees and at most one is a tie.

    Else "not told apart".

    By chance alone seven pairs agree once in 64 times, and six beside a tie once in 32 (sign test).
    """
    pairs = [
        (INFINITE if a is None else a, INFINITE if b is None else b)
        for a, b in zip(ours, reference, strict=True)
    ]
    ahead, behind = sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)
    if max(ahead, behind) < max(1, len(pairs) - 1) or min(ahead, behind) > 0:
        return "not told apart"
    return "faster" if ahead else "slower"


def ratios(times: Times) -> dict[str, dict[str, float]]:
    """Each time over the least of its workload; infinite where the target was not reached."""
    found: dict[str, dict[str, float]] = {}
    for workload, row in times.items():
        best = min(row.values())
        found[workload] = {n: t / best if math.isfinite(t) else INFINITE for n, t in row.items()}
    return found


def profile(times: Times, name: str, tau: float) -> float:
    """The share of workloads where an optimizer's time is at most `tau` times the best one's."""
    within = [row[name] <= tau for row in ratios(times).values()]
    return sum(within) / len(within)


def score(times: Times, name: str, max_tau: float = MAX_TAU) -> float:
    """The mean of the profile over tau from 1 to `max_tau`: 1 for the best everywhere, 0 at worst.

    The profile is a staircase, so the mean is that of (max_tau - ratio) / (max_tau - 1), at least 0.
    """
    parts = [max(0.0, (max_tau - row[name]) / (max_tau - 1)) for row in ratios(times).values()]
    return sum(parts) / len(parts)
