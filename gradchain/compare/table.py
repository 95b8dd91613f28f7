"""The table, as cells of text for the terminal and the report alike."""

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from .results import Result, Stat
from .tasks import Task


def headers(task: Task, results: Sequence[Result]) -> list[str]:
    """The column titles."""
    swept = any(r.sweep for r in results)
    goal = f"{task.target:.0%}" if task.score else f"loss {task.target:g}"
    return [
        "optimizer",
        *(["best rate"] if swept else ["rate"] if any(r.learning_rate for r in results) else []),
        *(["test acc %", "train acc %"] if task.score else []),
        "test loss",
        "train loss",
        *(["distance to exact"] if task.exact else []),
        f"steps to {goal}",
        "time/step",
        "state",
    ]


def cells(task: Task, results: Sequence[Result]) -> list[list[str]]:
    """The rows."""
    rated = any(r.sweep or r.learning_rate for r in results)
    return [
        [
            result.name,
            *([_rate(result.learning_rate)] if rated else []),
            *([_deciding(result, result.test_score, 100, 1)] if task.score else []),
            *([_mean(result.train_score, 100, 1)] if task.score else []),
            _mean(result.test_loss, 1, 3) if task.score else _deciding(result, result.test_loss, 1, 3),
            _mean(result.train_loss, 1, 3),
            *([_stat(result.distance, 1, 3)] if result.distance else []),
            _target(result),
            seconds(result.seconds_per_step),
            size(result.state_bytes),
        ]
        for result in results
    ]


def rich_table(task: Task, results: Sequence[Result]) -> Table:
    """The table for the terminal, best first, made to fit 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), show_edge=False)
    rows = cells(task, results)
    names = max(len("optimizer"), *(len(row[0]) for row in rows if len(row[0]) < 12), 0)
    table.add_column("optimizer", overflow="fold", min_width=names)
    for title in headers(task, results)[1:]:
        table.add_column(title.replace(" ", "\n", 1), justify="right")
    for i, row in enumerate(rows):
        lost = any(cell.startswith("diverged") for cell in row)
        style = "red" if lost else "bold green" if i == 0 else ""
        table.add_row(*(escape(cell) for cell in row), style=style)
    return table


def notes(task: Task, results: Sequence[Result], seeds: int) -> list[str]:
    """What the reader of the table must know."""
    lines = [f"± is the standard deviation over the {seeds} seeds."] if seeds > 1 else []
    lines += [
        f"Steps to {task.goal}: the median seed's, measured after each epoch.",
        "Time per step is one run's; all runs of an optimizer train side by side.",
    ]
    if any(r.sweep for r in results):
        lines.append(
            f"Best rate: by {task.metric} on validation examples (the mean made worse by its "
            "standard error), not on test examples."
        )
        edges = [r.name for r in results if r.learning_rate in _ends(r)]
        if edges:
            lines.append(f"At an end of the grid, so perhaps not their best: {', '.join(edges)}.")
    if task.exact:
        lines.append(
            "Distance to exact: to the least-squares solution, the root mean square difference of "
            "the predictions on the training examples, in standard deviations of the target."
        )
    if any(r.divergences for r in results):
        lines.append("Means leave out diverged seeds; whoever diverged ranks below the others.")
    return lines


def _ends(result: Result) -> tuple[float, ...]:
    points = result.sweep
    return (points[0].learning_rate, points[-1].learning_rate) if points else ()


def _stat(stat: Stat, factor: float, digits: int) -> str:
    if stat.mean is None or stat.std is None:
        return "-"
    return f"{_number(stat.mean * factor, digits)} ± {_number(stat.std * factor, digits)}"


def _mean(stat: Stat, factor: float, digits: int) -> str:
    return "-" if stat.mean is None else _number(stat.mean * factor, digits)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.1e}"


def _deciding(result: Result, stat: Stat, factor: float, digits: int) -> str:
    """The number that decides, or the step at which the runs diverged."""
    steps = result.divergences
    if not steps:
        return _stat(stat, factor, digits)
    if len(steps) == len(result.diverged_at):
        return f"diverged at step {steps[0]}"
    kept = _stat(stat, factor, digits)
    return f"{kept} ({len(steps)}/{len(result.diverged_at)} diverged at step {steps[0]})"


def _target(result: Result) -> str:
    reached = sum(step is not None for step in result.target_steps)
    if result.steps_to_target is None:
        return f"- ({reached}/{len(result.target_steps)})" if reached else "-"
    return f"{result.steps_to_target:.0f}"


def _rate(rate: float | None) -> str:
    return "own" if rate is None else f"{rate:.3g}"


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
