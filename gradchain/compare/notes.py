"""What the reader of the table must know: what was tuned, on what, and what the numbers cannot say."""

from collections.abc import Sequence

from .results import Result
from .tasks import Task
from .training import MOST_AT_ONCE


def notes(task: Task, results: Sequence[Result], seeds: int, test_examples: int) -> list[str]:
    """The lines below the table."""
    return [
        *_places(results, seeds),
        *(_tuning(task, results) if any(r.sweep for r in results) else _untuned(results)),
        *_limits(task, test_examples),
        *_columns(task),
    ]


def _places(results: Sequence[Result], seeds: int) -> list[str]:
    if seeds == 1:
        return ["One seed only: there are no intervals, and a place may be luck. --seeds asks for more."]
    lines = [
        f"± is half the 95% confidence interval of the mean over {seeds} seeds (Student's t). "
        "A place is one more than the number of optimizers whose interval is wholly better: those that "
        "share the first (1=) are not told apart from the best by this run."
    ]
    if any(r.divergences for r in results):
        lines.append("Means leave out diverged seeds; whoever diverged ranks below the others.")
    return lines


def _tuning(task: Task, results: Sequence[Result]) -> list[str]:
    swept = [r for r in results if r.sweep]
    points = swept[0].sweep
    lines = [
        f"Best rate: of {len(points)} from {points[0].learning_rate:g} to "
        f"{points[-1].learning_rate:g}, the same for all, the one with the best {task.metric} on "
        "validation examples (the mean made worse by its standard error), not on test examples. Nothing "
        "else was tuned: momentum, betas, eps and weight decay are as given."
    ]
    if any(r.default for r in results):
        lines.append(
            "Default rate: what the rate gives that the preset, the factory or the given code has, trained "
            "beside the others; it takes no part in the choice. -: there is none."
        )
    edges = [r.name for r in swept if r.edge]
    if edges:
        lines.append(f"≤, ≥: an end of the grid; beyond it may be a better rate for {', '.join(edges)}.")
    own = [r.name for r in results if not r.sweep]
    if own:
        lines.append(f"Not tuned, since there is no one learning rate to choose: {', '.join(own)}.")
    return lines


def _untuned(results: Sequence[Result]) -> list[str]:
    rates = {r.learning_rate for r in results}
    what = "One learning rate for all" if len(rates) == 1 and None not in rates else "Fixed learning rates"
    return [f"{what}: this compares rates as much as optimizers. --rates best gives each its own best one."]


def _limits(task: Task, test_examples: int) -> list[str]:
    few = task.score is not None and test_examples < 2000
    one = f" (one of {test_examples} is {100 / test_examples:.2g} points)" if few else ""
    return [
        "The intervals know of other first parameters and orders of batches, not of other test "
        f"examples{one}, models, data, batch sizes or training times: any of these may change the order."
    ]


def _columns(task: Task) -> list[str]:
    lines = [
        f"Steps to {task.goal}: the median seed's, as far as the measurements between steps show.",
        "Time per step is one run's. All runs of an optimizer train side by side, and as many optimizers "
        f"at a time as there are cores, at most {MOST_AT_ONCE}.",
    ]
    if task.exact:
        lines.append(
            "To exact: the distance to the least-squares solution, the root mean square difference of "
            "the predictions on the training examples, in standard deviations of the target."
        )
    return lines
