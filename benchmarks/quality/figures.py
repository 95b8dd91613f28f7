"""What the page and the pictures show, read from raw results."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .scoring import INFINITE, Summary, Times, median, score, steps_to, summary, verdict

YARDSTICK = "adamw"
Data = dict[str, Any]


class Row(NamedTuple):
    """One optimizer on one workload."""

    name: str
    steps: Summary  # to the target
    verdict: str  # in steps, against the yardstick, seed by seed
    step_ratio: tuple[float, float, float] | None  # of seconds per step, to the yardstick: quartiles
    time: float  # to the target, in steps of the yardstick; infinite if not reached, NaN if not timed
    time_ratio: (
        Summary | None
    )  # of seeds, to the yardstick's with the same seed; 0 where that never arrived
    time_verdict: str  # as `verdict`, in time
    loss: float | None  # median validation loss in the end
    test_accuracy: float | None  # median
    test_loss: float | None  # median
    rate: float
    decay: float
    edge: str


def workloads(data: Data) -> list[str]:
    """Those that have results of the yardstick and of another optimizer, in the order of the command."""
    return [w for w in data["facts"]["workloads"] if len(data["training"].get(w, {})) > 1]


def steps(data: Data, workload: str, name: str) -> list[int | None]:
    """Each seed's steps to the target."""
    of = data["facts"]["workloads"][workload]
    return [steps_to(c, of["target"], of["every"]) for c in data["training"][workload][name]["curves"]]


def rows(data: Data, workload: str) -> list[Row]:
    """The optimizers on a workload, the least median of steps first; then by loss in the end."""
    found = [_row(data, workload, name) for name in data["training"][workload]]
    return sorted(found, key=lambda row: (row.steps.median, -row.steps.reached, row.loss or math.inf))


def _row(data: Data, workload: str, name: str) -> Row:
    kept = data["training"][workload][name]
    timed = data["timing"].get(workload, {}).get(name)
    own = steps(data, workload, name)
    theirs = steps(data, workload, YARDSTICK)
    counted = summary(own)
    ratio = timed["ratio"] if timed else None
    if ratio and name == YARDSTICK:  # measured against itself to see the noise, which `noise` gives
        ratio = dict.fromkeys(ratio, 1.0)
    return Row(
        name,
        counted,
        "" if name == YARDSTICK else verdict(own, theirs),
        (ratio["low"], ratio["median"], ratio["high"]) if ratio else None,
        counted.median * ratio["median"] if ratio else math.nan,
        _time_ratio(own, theirs, ratio["median"]) if ratio else None,
        "" if name == YARDSTICK or not ratio else _time_verdict(own, theirs, ratio["median"]),
        _middle([curve[-1] for curve in kept["curves"]]),
        _middle(kept["test_accuracy"]),
        _middle(kept["test_loss"]),
        kept["rate"],
        kept["decay"],
        kept["edge"],
    )


def noise(data: Data) -> dict[str, float]:
    """By workload, the ratio of a step's time that the yardstick measured against itself."""
    timed = {w: data["timing"].get(w, {}).get(YARDSTICK) for w in workloads(data)}
    return {w: of["ratio"]["median"] for w, of in timed.items() if of}


def _time_ratio(own: list[int | None], theirs: list[int | None], step_ratio: float) -> Summary:
    """Seed by seed, our steps over theirs, times the ratio of a step; infinite where we did not arrive."""
    pairs = zip(own, theirs, strict=True)
    found = [INFINITE if a is None else 0.0 if b is None else a / b * step_ratio for a, b in pairs]
    return Summary(median(found), min(found), max(found), sum(map(math.isfinite, found)), len(found))


def _time_verdict(own: list[int | None], theirs: list[int | None], step_ratio: float) -> str:
    return verdict([None if a is None else a * step_ratio for a in own], theirs)


def _middle(values: list[float | None]) -> float | None:
    found = median([math.inf if value is None else value for value in values])
    return found if math.isfinite(found) else None


def times(data: Data, of: Callable[[Row], float]) -> Times:
    """The table that profiles are made of: only optimizers that all workloads have."""
    every = {w: {row.name: of(row) for row in rows(data, w)} for w in workloads(data)}
    common = set.intersection(*(set(row) for row in every.values())) if every else set()
    return {w: {n: t for n, t in row.items() if n in common} for w, row in every.items()}


def by_steps(data: Data) -> Times:
    """Median steps to the target."""
    return times(data, lambda row: row.steps.median)


def by_time(data: Data) -> Times | None:
    """Median steps times the ratio of a step's time to the yardstick's; None unless all were timed."""
    found = times(data, lambda row: row.time)
    return None if any(math.isnan(t) for row in found.values() for t in row.values()) else found


def ranking(table: Times) -> list[tuple[str, float]]:
    """Optimizers and their scores, best first."""
    names = next(iter(table.values()), {})
    return sorted(((name, score(table, name)) for name in names), key=lambda pair: (-pair[1], pair[0]))
