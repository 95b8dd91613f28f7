"""The first picture: the loss while training, and who wins."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from .drawing import RED, Style, drawn, label, log_axis, short, sized
from .results import Result
from .style import lines
from .tasks import Task

WINDOWS = 60


def picture(task: Task, results: Sequence[Result], caption: str, *, narrow: bool = False) -> bytes:
    """The picture as PNG. `results` are ranked. A narrow one has its panels below each other."""
    names = [r.name for r in results]
    # Colours go by name and not by rank: the same contender looks the same in the next run.
    style = lines(sorted(names))
    tall = max(4.2, 0.34 * len(results) + 1.4)
    with drawn(sized(13.5, tall + 1.2, 3.8, 2 * tall + 1.6, narrow), caption, narrow) as (figure, content):
        shape = {"height_ratios": (1, 1)} if narrow else {"width_ratios": (1.25, 1)}
        grid = figure.add_gridspec(*((2, 1) if narrow else (1, 2)), **shape)
        loss_curves(figure.add_subplot(grid[0]), results, style)
        bars(figure.add_subplot(grid[1]), task, results, style, narrow)
        handles = [figure.axes[0].plot([], [], label=short(n), **style[n])[0] for n in names]
        longest = max(len(short(n)) for n in names)
        columns = max(1, min(10, len(names), (45 if narrow else 150) // (longest + 6)))
        figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, fontsize=8.5 if narrow else 9.5
        )
    return content.getvalue()


def described(task: Task, results: Sequence[Result]) -> str:
    """The picture in words, for those who do not see it."""
    told = "; ".join(
        f"{r.place} {r.name} "
        + ("diverged" if r.deciding.mean is None else f"{_value(task, r.deciding.mean)}")
        for r in results
    )
    return (
        "Two charts. The loss of the training batches of every optimizer against the step; and the test "
        f"{task.metric} as bars, best first: {told}."
    )


def loss_curves(axes: Axes, results: Sequence[Result], style: Style) -> None:
    """Training loss of the batches, averaged over windows of steps; bands are the seeds' spread."""
    for result in results:
        steps, losses = _windows(result.step_loss)
        middle = np.nanmean(losses, 1)
        axes.plot(steps, middle, **style[result.name])
        if losses.shape[1] > 1:
            low, high = np.nanmin(losses, 1), np.nanmax(losses, 1)
            colour = style[result.name]["color"]
            axes.fill_between(steps, low, high, color=colour, alpha=0.07, linewidth=0)
        for seed, step in enumerate(result.diverged_at):
            finite = np.flatnonzero(np.isfinite(losses[:, seed]))
            if step and len(finite):
                last = finite[-1]
                axes.plot(steps[last], losses[last, seed], "x", color=RED, ms=8, mew=2)
    axes.set(title="Training loss", xlabel="step", ylabel="batch loss")
    log_axis(axes, [np.nanmean(_windows(r.step_loss)[1], 1) for r in results])
    axes.margins(x=0.01)


def bars(axes: Axes, task: Task, results: Sequence[Result], style: Style, narrow: bool) -> None:
    """The deciding metric of each contender: the mean as a bar with its interval, every seed as a dot."""
    factor = 100 if task.score else 1
    values = [factor * r.test_curve[-1] for r in results]
    means = np.array([np.nanmean(v) if np.isfinite(v).any() else np.nan for v in values])
    halves = [factor * (r.deciding.half_width or 0.0) for r in results]
    places = np.arange(len(results))
    for place, result, mean, half, dots in zip(places, results, means, halves, values, strict=True):
        colour = style[result.name]["color"]
        axes.barh(place, mean, color=colour, alpha=0.7, height=0.68)
        axes.errorbar(mean, place, xerr=half, color="#222222", lw=1.4)
        axes.plot(dots, np.full(len(dots), place), "o", ms=3.4, mfc="white", mec=colour, mew=1)
    low, high = _bar_limits(np.concatenate([*values, means + halves]), task)
    beside = any(r.default for r in results)
    room = (0.75 if narrow else 0.42) if beside else 0.16
    axes.set_xlim(low, high + room * (high - low))
    if task.score:
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= 100])
        axes.set_xlim(low, high + room * (high - low))
    for place, result, mean, half, dots in zip(places, results, means, halves, values, strict=True):
        steps = result.divergences
        if not np.isfinite(mean):
            text, at = f"diverged at step {steps[0]}" if steps else "not finite", low
        else:
            text = _value(task, mean / factor)
            text += f"  ({len(steps)} diverged)" if steps else ""
            at = min(max(float(np.nanmax(dots)), mean + half), high)
        note = axes.annotate(
            text, (at, place), (7, 0), textcoords="offset points", va="center",
            color=RED if steps else "#222222", weight="bold" if result.place in ("1", "1=") else "normal",
        )  # fmt: skip
        if beside:
            axes.annotate(
                _default(task, result, narrow), (1, 0.5), xycoords=note, xytext=(7, 0), fontsize=8.5,
                textcoords="offset points", va="center", color="#777777",
            )  # fmt: skip
    axes.set_yticks(places, [f"{r.place}  {short(r.name, 14 if narrow else 34)}" for r in results])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelcolor="#222222")
    what = "Test accuracy" if task.score else "Test loss, shorter is better"
    tuned = " at the best rate" if any(r.sweep for r in results) else ""
    axes.set(title=f"{what}{tuned}" + ("" if narrow else ", every seed a dot"), xlabel=label(task))


def _value(task: Task, mean: float) -> str:
    return f"{100 * mean:.1f}" if task.score else f"{mean:.3g}"


def _default(task: Task, result: Result, narrow: bool) -> str:
    """What the default rate gave, in grey beside the best."""
    if result.default is None:
        return ""
    point = result.default
    gave = "diverged" if point.test.mean is None or point.diverged else _value(task, point.test.mean)
    return f"({gave})" if narrow else f"default {point.learning_rate:.3g}: {gave}"


def _windows(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over windows of steps: (step at the window's middle, loss[windows, seeds])."""
    parts = np.array_split(np.arange(len(losses)), min(WINDOWS, len(losses)))
    middle = np.array([part.mean() + 1 for part in parts])
    return middle, np.stack([losses[part].mean(0) for part in parts])


def _bar_limits(values: np.ndarray, task: Task) -> tuple[float, float]:
    """Bars start at zero unless all are so alike that nothing would be seen."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    # One exploded loss must not flatten the others.
    high = float(finite.max() if task.score else min(finite.max(), 4 * np.median(finite)))
    low = float(finite.min())
    if task.score and low > 60:
        return max(0.0, 10 * np.floor((low - 5) / 10)), high
    return 0.0, high
