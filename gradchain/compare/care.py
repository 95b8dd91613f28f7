"""How much care a learning rate needs: the range of rates that are nearly as good as the best."""

from .results import RatePoint, Result
from .tasks import Task

POINTS = 0.02
"""Of accuracy, that a rate may be worse than the best."""
SHARE = 0.1
"""Of the loss, that a rate may be worse than the best."""


def good_rates(task: Task, result: Result) -> tuple[float, float] | None:
    """The lowest and the highest rate around the best one that are nearly as good on validation examples.

    None without a sweep, or if every rate diverged.
    """
    rates = [point.learning_rate for point in result.sweep]
    if result.learning_rate not in rates:
        return None
    low = high = rates.index(result.learning_rate)
    best = result.sweep[low].validation.mean
    if best is None:
        return None

    def good(point: RatePoint) -> bool:
        value = point.validation.mean
        if value is None or point.diverged:
            return False
        return value >= best - POINTS if task.score else value <= best + SHARE * abs(best)

    while low > 0 and good(result.sweep[low - 1]):
        low -= 1
    while high + 1 < len(rates) and good(result.sweep[high + 1]):
        high += 1
    return rates[low], rates[high]


def tolerance(task: Task) -> str:
    """What "nearly as good" means, in words."""
    return f"{100 * POINTS:g} points of accuracy" if task.score else f"{SHARE:.0%} of the loss"
