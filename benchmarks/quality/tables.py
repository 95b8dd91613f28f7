"""The generated part of the page: tables in Markdown."""

import math
from collections.abc import Iterable, Sequence

from . import figures
from .contenders import CONTENDERS
from .figures import YARDSTICK, Data, Row
from .scoring import MAX_TAU, Summary, coverage


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table whose first column is on the left."""
    every = [heads, ["---", *["---:"] * (len(heads) - 1)], *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in every) + "\n"


def generated(data: Data, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """All tables, and the pictures as (title, file)."""
    parts = [_workloads(data), _scores(data)]
    parts += [f"![{title}]({file})\n" for title, file in pictures]
    parts += [_workload(data, w) for w in figures.workloads(data)]
    return "\n".join([*parts, _tuned(data), _machine(data)])


def _workloads(data: Data) -> str:
    lines = [
        [name, of["what"], f"{of['steps']}", f"{of['batch_size']}", f"{of['every']}", f"{of['target']:g}"]
        for name, of in data["facts"]["workloads"].items()
    ]
    heads = ["workload", "what", "budget, steps", "batch", "measured every", "target loss"]
    return "## The workloads\n\n" + table(heads, lines)


def _scores(data: Data) -> str:
    by_steps, by_time = figures.by_steps(data), figures.by_time(data)
    in_time = dict(figures.ranking(by_time)) if by_time else {}
    lines = []
    for name, value in figures.ranking(by_steps):
        each = [next(r for r in figures.rows(data, w) if r.name == name) for w in by_steps]
        in_steps, in_seconds = ([r.verdict for r in each], [r.time_verdict for r in each])
        reached = sum(math.isfinite(r.steps.median) for r in each)
        lines.append(
            [
                f"**{name}**" if name == YARDSTICK else name,
                f"{value:.2f}",
                f"{in_time[name]:.2f}" if name in in_time else "",
                f"{reached}/{len(each)}",
                *(["", "", ""] if name == YARDSTICK else _told(in_steps, in_seconds if by_time else None)),
            ]
        )
    heads = [
        "optimizer", "score by steps", "score by time", "targets reached", "steps, against AdamW",
        "time, against AdamW", "in all",
    ]  # fmt: skip
    text = (
        f"## The scores\n\nThe mean of the performance profile from 1 to {MAX_TAU:g}; 1 is the best "
        "everywhere. *Faster* and *slower* count the workloads where the seeds agree. Who is slower in "
        f"{'time' if in_time else 'steps'} on more workloads than faster loses to AdamW.\n\n"
    )
    return text + table(heads, lines)


def _told(in_steps: list[str], in_time: list[str] | None) -> list[str]:
    """How often the seeds agree, in steps and in time, and who wins by time, or by steps if not timed."""
    count = lambda of: (of.count("faster"), of.count("slower"))  # noqa: E731
    words = [f"{f} faster, {s} slower" for f, s in map(count, filter(None, (in_steps, in_time)))]
    faster, slower = count(in_steps if in_time is None else in_time)
    whole = "loses to AdamW" if slower > faster else "beats AdamW" if faster > slower else "not told apart"
    return [*words, *([""] if in_time is None else []), whole]


def _workload(data: Data, workload: str) -> str:
    of = data["facts"]["workloads"][workload]
    lines = [_cells(row) for row in figures.rows(data, workload)]
    heads = [
        "optimizer", "steps to target", "range", "seeds", "in steps", "step / AdamW's",
        "time / AdamW's", "range", "in time", "loss at the end", "test loss", "test accuracy",
    ]  # fmt: skip
    title = f"## {workload}: validation loss {of['target']:g} within {of['steps']} steps\n\n"
    return title + table(heads, lines)


def _cells(row: Row) -> list[str]:
    step, time = row.step_ratio, row.time_ratio
    return [
        f"**{row.name}**" if row.name == YARDSTICK else row.name,
        _count(row.steps.median),
        f"{_count(row.steps.low)} to {_count(row.steps.high)}",
        f"{row.steps.reached}/{row.steps.of}",
        row.verdict,
        f"{step[1]:.2f} ({step[0]:.2f} to {step[2]:.2f})" if step else "",
        _times(time.median) if time else "",
        _range(time) if time else "",
        row.time_verdict,
        _loss(row.loss),
        _loss(row.test_loss),
        "" if row.test_accuracy is None else f"{row.test_accuracy:.1%}",
    ]


def _count(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "not reached"


def _times(value: float) -> str:
    if not value:
        return "AdamW never"
    return f"{value:.2f}" if math.isfinite(value) else "not reached"


def _range(of: Summary) -> str:
    return f"{_times(of.low)} to {_times(of.high)}"


def _loss(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.3f}"


def _tuned(data: Data) -> str:
    lines = []
    names = figures.workloads(data)
    for name in CONTENDERS:
        if not any(name in data["training"][w] for w in names):
            continue
        cells, trials = [], 0
        for w in names:
            kept = data["training"][w].get(name)
            trials = max(trials, len(kept["trials"]) if kept else 0)
            cells.append(f"{kept['edge']}{kept['rate']:.2g}, {kept['decay']:.2g}" if kept else "")
        lines.append([name, *cells, f"{trials}", CONTENDERS[name].note])
    text = (
        "## Tuned rates and decays\n\nLearning rate at its peak, weight decay. `<` or `>`: the best rate "
        "was the lowest or the highest of all that were tried, so a better one may lie beyond.\n\n"
    )
    return text + table(["optimizer", *names, "trials", "note"], lines)


def _machine(data: Data) -> str:
    facts = data["facts"]
    about = table(["where", ""], [[key, f"{value}"] for key, value in facts["machine"].items()])
    sure = coverage(facts["seeds"])
    apart = ", ".join(f"{ratio:.2f} on {w}" for w, ratio in figures.noise(data).items())
    noise = f" AdamW's step took {apart} of its own time: ratios are no surer than that." if apart else ""
    return (
        f"## The machine\n\nRanges are those of {facts['seeds']} seeds; "
        f"whatever the distribution, they cover the median with {sure:.1%}.{noise}\n\n{about}"
    )
