"""Places, intervals and the care that a rate needs: what the table claims."""

import dataclasses

import numpy as np
import pytest

from gradchain.compare import table
from gradchain.compare.care import good_rates
from gradchain.compare.notes import notes
from gradchain.compare.ranking import rank
from gradchain.compare.results import RatePoint, Result
from gradchain.compare.stat import Stat
from gradchain.compare.tasks import TASKS

DIGITS, REGRESSION = TASKS["digits"], TASKS["regression"]
NONE = Stat(None, None)


def result(name: str, *values: float, **changes) -> Result:
    """A contender whose seeds reached these values."""
    stat = Stat.of(np.array(values))
    made = Result(
        name=name,
        code=f"{name}()",
        learning_rate=0.1,
        deciding=stat,
        test_score=stat,
        train_score=stat,
        test_loss=stat,
        train_loss=stat,
        target_steps=(None,) * len(values),
        diverged_at=tuple(None if np.isfinite(v) else 7 for v in values),
        distance=None,
        seconds_per_step=1e-5,
        compile_seconds=1.0,
        state_bytes=8,
        sweep=(),
        default=None,
        step_loss=np.ones((4, len(values))),
        test_curve=np.array([values]),
        steps_per_round=2,
    )
    return dataclasses.replace(made, **changes)


def places(task, *results: Result) -> dict[str, str]:
    return {r.name: r.place for r in rank(task, list(results))}


def test_intervals_are_students():
    stat = Stat.of(np.array([1.0, 2.0, 3.0, np.nan]))
    assert (stat.mean, stat.std, stat.count) == (2.0, 1.0, 3)
    assert stat.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # of two degrees of freedom
    five = Stat.of(np.array([0.0, 1.0, 2.0, 3.0, 4.0]))
    assert five.half_width == pytest.approx(2.776445 * 2.5**0.5 / 5**0.5, rel=1e-6)
    assert Stat.of(np.array([1.0])).half_width is None
    assert Stat.of(np.array([np.inf])) == NONE


def test_overlapping_intervals_share_a_place():
    found = places(
        DIGITS,
        result("third", 0.70, 0.71, 0.72),
        result("close", 0.89, 0.90, 0.91),
        result("best", 0.90, 0.91, 0.92),
    )
    assert list(found.items()) == [("best", "1="), ("close", "1="), ("third", "3")]


def test_a_wide_interval_is_told_apart_from_few():
    found = places(
        DIGITS,
        result("best", 0.95, 0.951, 0.952),
        result("steady", 0.93, 0.931, 0.932),
        result("noisy", 0.99, 0.90, 0.81),
    )
    # Nobody is better than the noisy one for sure; one is better than the steady one.
    assert list(found.items()) == [("best", "1="), ("steady", "2"), ("noisy", "1=")]


def test_of_losses_the_lowest_is_first():
    found = places(REGRESSION, result("high", 0.5, 0.51), result("low", 0.1, 0.11))
    assert list(found.items()) == [("low", "1"), ("high", "2")]


def test_one_seed_has_no_ties_but_equals():
    found = places(DIGITS, result("a", 0.9), result("b", 0.8), result("c", 0.8), result("d", 0.7))
    assert list(found.items()) == [("a", "1"), ("b", "2="), ("c", "2="), ("d", "4")]


def test_whoever_diverged_comes_last():
    found = places(
        DIGITS, result("all", np.nan, np.nan), result("one", 0.99, np.nan), result("none", 0.1, 0.9)
    )
    assert list(found.items()) == [("none", "1"), ("one", "2"), ("all", "-")]


def swept(name: str, values: list[float], chosen: int, diverged: tuple[int, ...] = (), **changes) -> Result:
    points = tuple(
        RatePoint(10.0 ** (i - 3), Stat.of(np.array([v, v])), Stat.of(np.array([v, v])), int(i in diverged))
        for i, v in enumerate(values)
    )
    return result(
        name, values[chosen], values[chosen], learning_rate=10.0 ** (chosen - 3), sweep=points, **changes
    )


def test_good_rates_are_those_around_the_best():
    accuracies = [0.95, 0.50, 0.94, 0.95, 0.96, 0.3]
    assert good_rates(DIGITS, swept("x", accuracies, 4)) == pytest.approx((0.1, 10.0))
    assert good_rates(DIGITS, swept("x", accuracies, 4, diverged=(3,))) == pytest.approx((10.0, 10.0))
    losses = [0.9, 0.55, 0.5, 0.56]
    assert good_rates(REGRESSION, swept("x", losses, 2)) == pytest.approx((0.01, 0.1))
    assert good_rates(DIGITS, result("x", 0.9)) is None
    assert good_rates(DIGITS, swept("x", [np.nan, np.nan], 0)) is None


def test_a_rate_at_the_end_of_the_grid_is_marked():
    ends = [
        swept("low", [0.9, 0.8, 0.7], 0),
        swept("in", [0.8, 0.9, 0.7], 1),
        swept("high", [0.7, 0.8, 0.9], 2),
    ]
    shown = [row[2] for row in table.cells(DIGITS, ends)]
    assert shown == ["≤ 0.001", "0.01", "≥ 0.1"]
    told = " ".join(notes(DIGITS, ends, seeds=2, test_examples=100))
    assert "an end of the grid; beyond it may be a better rate for low, high." in told


def test_the_table_shows_what_the_default_rate_gave():
    point = RatePoint(0.03, Stat.of(np.array([0.5])), Stat.of(np.array([0.25, 0.35])), 0)
    lost = RatePoint(3.0, NONE, NONE, 2)
    rows = [
        swept("good", [0.8, 0.9], 1, default=point),
        swept("lost", [0.8, 0.9], 1, default=lost),
        swept("none", [0.8, 0.9], 1),
    ]
    column = table.headers(DIGITS, rows).index("default rate")
    assert [row[column] for row in table.cells(DIGITS, rows)] == ["30.0 (0.03)", "diverged (3)", "-"]
    assert "default rate" not in table.headers(DIGITS, rows[2:])


@pytest.mark.parametrize(("task", "shown"), [(DIGITS, "50.0 ± 63.5"), (REGRESSION, "0.500 ± 0.635")])
def test_the_table_shows_the_interval(task, shown):
    row = table.cells(task, [result("x", 0.45, 0.55)])[0]
    assert row[3] == shown


def test_notes_say_what_was_tuned_and_what_cannot_be_concluded():
    told = " ".join(notes(DIGITS, [swept("a", [0.1, 0.9], 1), result("b", 0.9, 0.8)], 5, 359))
    for words in (
        "95% confidence interval of the mean over 5 seeds",
        "of 2 from 0.001 to 0.01, the same for all",
        "on validation examples",
        "Nothing else was tuned",
        "Not tuned, since there is no one learning rate to choose: b.",
        "one of 359 is 0.28 points",
        "any of these may change the order",
    ):
        assert words in told
    fixed = " ".join(notes(DIGITS, [result("a", 0.9, 0.8), result("b", 0.9, 0.8)], 5, 359))
    assert "One learning rate for all: this compares rates as much as optimizers." in fixed
    assert "validation" not in fixed
    assert "One seed only" in " ".join(notes(DIGITS, [result("a", 0.9)], 1, 359))
