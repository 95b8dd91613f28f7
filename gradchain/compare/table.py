"""The table, as cells of text for the terminal and the report alike."""

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from .results import Result, Stat
from .tasks import Task


def headers(task: Task, results: Sequence[Result]) -> list[str]:
    """The column titles."""
    rated = any(r.learning_rate for r in results)
    goal = f"{task.target:.0%}" if task.score else f"{task.target:g}"
    return [
        "",
        "optimizer",
        *(["best rate" if any(r.sweep for r in results) else "rate"] if rated else []),
        "test acc %" if task.score else "test loss",
        *(["default rate"] if any(r.default for r in results) else []),
        "to exact" if task.exact else "train acc %" if task.score else "train loss",
        f"steps to {goal}",
        "time /step",
        "state",
    ]


def cells(task: Task, results: Sequence[Result]) -> list[list[str]]:
    """The rows."""
    rated = any(r.learning_rate for r in results)
    beside = any(r.default for r in results)
    factor, digits = (100, 1) if task.score else (1, 3)
    return [
        [
            result.place,
            result.name,
            *([_rate(result)] if rated else []),
            _deciding(result, factor, digits),
            *([_default(result, factor, digits)] if beside else []),
            _training(task, result),
            _target(result),
            seconds(result.seconds_per_step),
            size(result.state_bytes),
        ]
        for result in results
    ]


def _training(task: Task, result: Result) -> str:
    """How well the training examples were learned; a loss says no more than the distance to the best."""
    if result.distance is not None:
        return _mean(result.distance, 1, 3)
    return _mean(result.train_score, 100, 1) if task.score else _mean(result.train_loss, 1, 3)


def rich_table(task: Task, results: Sequence[Result]) -> Table:
    """The table for the terminal, best first, made to fit 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=0, show_edge=False)
    rows = cells(task, results)
    names = max(len("optimizer"), *(len(row[1]) for row in rows if len(row[1]) < 12), 0)
    table.add_column("", no_wrap=True)
    table.add_column("optimizer", overflow="fold", min_width=names)
    for title in headers(task, results)[2:]:
        table.add_column(title.replace(" ", "\n", 1), justify="right")
    for result, row in zip(results, rows, strict=True):
        style = "red" if result.divergences else "bold green" if is_first(result) else ""
        table.add_row(*(escape(cell) for cell in row), style=style)
    return table


def is_first(result: Result) -> bool:
    """Whether nobody is better for sure."""
    return result.place in ("1", "1=")


def _stat(stat: Stat, factor: float, digits: int) -> str:
    if stat.mean is None or stat.half_width is None:
        return _mean(stat, factor, digits)
    return f"{_number(stat.mean * factor, digits)} ± {_number(stat.half_width * factor, digits)}"


def _mean(stat: Stat, factor: float, digits: int) -> str:
    return "-" if stat.mean is None else _number(stat.mean * factor, digits)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.1e}"


def _deciding(result: Result, factor: float, digits: int) -> str:
    """The number that decides, or the step at which the runs diverged."""
    steps = result.divergences
    if not steps:
        return _stat(result.deciding, factor, digits)
    if len(steps) == len(result.diverged_at):
        return f"diverged at step {steps[0]}"
    kept = _stat(result.deciding, factor, digits)
    return f"{kept} ({len(steps)}/{len(result.diverged_at)} diverged at step {steps[0]})"


def _default(result: Result, factor: float, digits: int) -> str:
    """What the default learning rate gave, and the rate."""
    if result.default is None:
        return "-"
    gave = "diverged" if result.default.diverged else _mean(result.default.test, factor, digits)
    return f"{gave} ({result.default.learning_rate:.3g})"


def _target(result: Result) -> str:
    reached = sum(step is not None for step in result.target_steps)
    if result.steps_to_target is None:
        return f"- ({reached}/{len(result.target_steps)})" if reached else "-"
    return f"{result.steps_to_target:.0f}"


def _rate(result: Result) -> str:
    if result.learning_rate is None:
        return "own"
    beyond = {"": "", "<": "≤ ", ">": "≥ "}[result.edge]
    return f"{beyond}{result.learning_rate:.3g}"


def seconds(value: float) -> str:
    """A time, in the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.3g} µs"


def size(count: int) -> str:
    """A number of bytes, in the unit that suits it."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
