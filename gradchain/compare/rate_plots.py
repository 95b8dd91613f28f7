"""The second picture: what each optimizer makes of each learning rate."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from .care import good_rates, tolerance
from .drawing import RED, Style, drawn, label, short, sized
from .results import Result
from .style import lines
from .tasks import Task

OTHERS = "#D9D9D9"
SPAN = (1e-3, 3.0)  # where there is room to both sides
TICKS = [10.0**k for k in range(-4, 2)]


def picture(task: Task, results: Sequence[Result], caption: str, *, narrow: bool = False) -> bytes:
    """The picture as PNG: a panel for each optimizer with a sweep, in the order of their ranks."""
    swept = [r for r in results if r.sweep]
    style = lines(sorted(r.name for r in results))
    columns = min(2 if narrow else 5, len(swept))
    rows = math.ceil(len(swept) / columns)
    size = sized(max(13.5 * columns / 5, 6.0), 2.55 * rows + 1.1, 3.8, 1.75 * rows + 1.0, narrow)
    with drawn(size, caption, narrow) as (figure, content):
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(swept) :]:
            axes.set_visible(False)
        low, high = _limits(task, swept)
        for i, (axes, result) in enumerate(zip(grid.flat, swept, strict=False)):
            _panel(axes, task, result, swept, style, narrow)
            axes.set_ylim(low, high)
            if i + columns >= len(swept):  # the last one of its column
                axes.tick_params(labelbottom=True)
        figure.supylabel(label(task, "validation"), fontsize=9.5, color="#444444")
        figure.supxlabel(_legend(task, narrow), fontsize=8 if narrow else 9.5, color="#444444")
    return content.getvalue()


def described(task: Task, results: Sequence[Result]) -> str:
    """The picture in words, for those who do not see it."""
    told = []
    for result in results:
        if (good := good_rates(task, result)) is not None:
            best, low, high = (f"{rate:.3g}" for rate in (result.learning_rate or 0.0, *good))
            told.append(f"{result.name} best {best}, good from {low} to {high}")
    return (
        f"A chart for each optimizer: validation {task.metric} against the learning rate, and the range of "
        f"rates within {tolerance(task)} of its best: {'; '.join(told)}."
    )


def _legend(task: Task, narrow: bool) -> str:
    within = f"band: within {tolerance(task)} of its best"
    if narrow:
        return f"learning rate; dot: chosen; ring: default;\n{within}"
    return f"learning rate    (dot: chosen; ring: default rate; {within}; grey: the others)"


def _panel(
    axes: Axes, task: Task, result: Result, swept: Sequence[Result], style: Style, narrow: bool
) -> None:
    look = {**style[result.name], "linestyle": "-"}
    for other in swept:
        axes.plot(*_curve(task, other), color=OTHERS, linewidth=0.9, zorder=1)
    rates, means = _curve(task, result)
    axes.plot(rates, means, zorder=3, **look)
    if (good := good_rates(task, result)) is not None:
        half = 10**0.25  # half way to the next rate of the grid
        axes.axvspan(good[0] / half, good[1] * half, color=look["color"], alpha=0.13, linewidth=0, zorder=0)
        span = f"{good[0]:.2g}" if good[0] == good[1] else f"{good[0]:.2g} to {good[1]:.2g}"
        axes.text(
            min(max((good[0] * good[1]) ** 0.5, SPAN[0]), SPAN[1]), 0.04, span, ha="center",
            transform=axes.get_xaxis_transform(), fontsize=7.5 if narrow else 8.5, color="#333333",
        )  # fmt: skip
    chosen = np.flatnonzero(rates == result.learning_rate)
    axes.plot(rates[chosen], means[chosen], "o", ms=7, mec="white", color=look["color"], zorder=5)
    default = result.default
    if default is not None:
        gave = default.validation.mean
        at = np.nan if gave is None else _factor(task) * gave
        axes.plot(default.learning_rate, at, "o", ms=8, mfc="none", mec="#222222", mew=1.3, zorder=6)
    for point in result.sweep:
        if point.diverged:
            axes.plot(point.learning_rate, 0.03, "x", color=RED, ms=4, transform=axes.get_xaxis_transform())
    axes.set_title(short(result.name, 18 if narrow else 26), fontsize=9 if narrow else 10.5, pad=4)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(TICKS[::2]))
    axes.xaxis.set_minor_locator(FixedLocator(TICKS[1::2]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", labelsize=8)
    if not task.score:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "25" else ""))


def _factor(task: Task) -> int:
    return 100 if task.score else 1


def _curve(task: Task, result: Result) -> tuple[np.ndarray, np.ndarray]:
    """The rates and the means on the validation examples; NaN where every seed diverged."""
    means = [np.nan if p.validation.mean is None else p.validation.mean for p in result.sweep]
    return np.array([p.learning_rate for p in result.sweep]), _factor(task) * np.array(means)


def _limits(task: Task, swept: Sequence[Result]) -> tuple[float, float]:
    """Of the vertical axis: all of the accuracies, or as much of the losses as tells something."""
    values = np.concatenate([_curve(task, result)[1] for result in swept])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return (0.0, 100.0) if task.score else (0.1, 10.0)
    if task.score:
        return 0.0, 1.06 * float(values.max())
    start = max(float(r.test_curve[0].max()) for r in swept)
    return float(values.min()) / 1.4, max(2 * start, 1.5 * float(values.min()))
