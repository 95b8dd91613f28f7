"""The picture: loss curves with spread, who wins, and the learning-rate curves of a sweep."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from .results import Result
from .style import LOOK, lines
from .tasks import Task

WINDOWS = 60
Style = Mapping[str, dict[str, Any]]


def comparison(task: Task, results: Sequence[Result], caption: str) -> bytes:
    """The picture as PNG; `results` are ranked, and the legend is in their order."""
    swept = any(r.sweep for r in results)
    names = [r.name for r in results]
    # Colours go by name and not by rank: the same contender looks the same in the next run.
    style = lines(sorted(names))
    with rc_context(dict(LOOK)), warnings.catch_warnings():
        # All-NaN windows are what a divergence looks like, no cause for concern.
        warnings.simplefilter("ignore", RuntimeWarning)
        tall = max(4.2, 0.34 * len(results) + 1.4)
        figure = Figure(figsize=(13.5, tall * (1.9 if swept else 1.0) + 1.2), layout="constrained")
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12, wspace=0.04, hspace=0.06)  # type: ignore[union-attr]
        grid = figure.add_gridspec(2 if swept else 1, 2, width_ratios=(1.25, 1))
        loss_curves(figure.add_subplot(grid[0, 0]), results, style)
        bars(figure.add_subplot(grid[0, 1]), task, results, style)
        if swept:
            rate_curves(figure.add_subplot(grid[1, 0]), task, results, style)
            test_curves(figure.add_subplot(grid[1, 1]), task, results, style)
        handles = [figure.axes[0].plot([], [], label=_short(n), **style[n])[0] for n in names]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(10, len(names)), fontsize=9.5)
        figure.suptitle(caption, x=0.015, ha="left", fontsize=12.5, color="#222222")
        content = io.BytesIO()
        figure.savefig(content, format="png")
    return content.getvalue()


def loss_curves(axes: Axes, results: Sequence[Result], style: Style) -> None:
    """Training loss of the batches, averaged over windows of steps; bands are the seeds' spread."""
    for result in results:
        steps, losses = _windows(result.step_loss)
        middle = np.nanmean(losses, 1)
        axes.plot(steps, middle, **style[result.name])
        if losses.shape[1] > 1:
            low, high = np.nanmin(losses, 1), np.nanmax(losses, 1)
            colour = style[result.name]["color"]
            axes.fill_between(steps, low, high, color=colour, alpha=0.1, linewidth=0)
        for seed, step in enumerate(result.diverged_at):
            finite = np.flatnonzero(np.isfinite(losses[:, seed]))
            if step and len(finite):
                last = finite[-1]
                axes.plot(steps[last], losses[last, seed], "x", color="#CC3311", ms=8, mew=2)
    axes.set(title="Training loss", xlabel="step", ylabel="batch loss")
    _log_loss(axes, [np.nanmean(_windows(r.step_loss)[1], 1) for r in results])
    axes.margins(x=0.01)


def test_curves(axes: Axes, task: Task, results: Sequence[Result], style: Style) -> None:
    """The test error, or loss, after each epoch, on a log axis: the end is what matters."""
    shown = [100 * (1 - r.test_curve) if task.score else r.test_curve for r in results]
    means = [np.nanmean(curves, 1) for curves in shown]
    for result, mean in zip(results, means, strict=True):
        steps = np.arange(len(mean)) * result.steps_per_epoch
        axes.plot(steps, mean, **style[result.name])
    target = 100 * (1 - task.target) if task.score else task.target
    axes.axhline(target, color="#888888", linewidth=1, linestyle=":", label="target")
    what = "test error (%)" if task.score else "test loss"
    axes.set(title=f"{what.split(' (')[0].capitalize()} at the best rate (dotted: target)")
    axes.set(xlabel="step", ylabel=what)
    _log_loss(axes, means)
    axes.margins(x=0.01)


def bars(axes: Axes, task: Task, results: Sequence[Result], style: Style) -> None:
    """The deciding metric of each contender: the mean as a bar, every seed as a dot."""
    factor = 100 if task.score else 1
    values = [factor * r.test_curve[-1] for r in results]
    means = np.array([np.nanmean(v) if np.isfinite(v).any() else np.nan for v in values])
    places = np.arange(len(results))
    for place, result, mean, dots in zip(places, results, means, values, strict=True):
        colour = style[result.name]["color"]
        axes.barh(place, mean, color=colour, alpha=0.75, height=0.68)
        axes.plot(dots, np.full(len(dots), place), "o", ms=3.4, mfc="white", mec=colour, mew=1)
    finite = np.concatenate([v[np.isfinite(v)] for v in values])
    low, high = _bar_limits(finite, task)
    axes.set_xlim(low, high + 0.16 * (high - low))
    if task.score:
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= 100])
        axes.set_xlim(low, high + 0.16 * (high - low))
    for place, result, mean, dots in zip(places, results, means, values, strict=True):
        steps = result.divergences
        if not np.isfinite(mean):
            text, at = f"diverged at step {steps[0]}" if steps else "not finite", low
        else:
            text = f"{mean:.1f}" if task.score else f"{mean:.3g}"
            text += f"  ({len(steps)} diverged)" if steps else ""
            at = min(np.nanmax(dots), high)
        axes.annotate(
            text, (at, place), (7, 0), textcoords="offset points", va="center",
            color="#CC3311" if steps else "#333333",
        )  # fmt: skip
    axes.set_yticks(places, [_short(r.name) for r in results])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelcolor="#222222")
    what = "Test accuracy" if task.score else "Test loss (shorter is better)"
    axes.set(title=f"{what}, every seed a dot", xlabel=_label(task))


def rate_curves(axes: Axes, task: Task, results: Sequence[Result], style: Style) -> None:
    """The deciding metric on the validation examples against the learning rate."""
    factor = 100 if task.score else 1
    curves = []
    for result in results:
        if not result.sweep:
            continue
        rates = [p.learning_rate for p in result.sweep]
        means, stds = (
            factor * np.array([getattr(p.validation, k) or np.nan for p in result.sweep], float)
            for k in ("mean", "std")
        )
        curves.append(means)
        axes.plot(rates, means, **style[result.name])
        axes.fill_between(
            rates, means - stds, means + stds, color=style[result.name]["color"], alpha=0.1, lw=0
        )
        best = [p.learning_rate for p in result.sweep].index(result.learning_rate or 0.0)
        axes.plot(rates[best], means[best], "o", ms=7, mec="white", **_marker(style[result.name]))
    axes.set_xscale("log")
    title = "What the learning rate does (dots: chosen)"
    axes.set(title=title, xlabel="learning rate", ylabel=_label(task, "validation"))
    if not task.score:
        _log_loss(axes, curves)


def _marker(style: Mapping[str, Any]) -> dict[str, Any]:
    return {"color": style["color"], "zorder": 5}


def _label(task: Task, part: str = "test") -> str:
    return f"{part} accuracy (%)" if task.score else f"{part} loss"


def _short(name: str) -> str:
    """A long chain, shortened in its middle."""
    return name if len(name) <= 34 else f"{name[:20]} … {name[-11:]}"


def _windows(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over windows of steps: (step at the window's middle, loss[windows, seeds])."""
    parts = np.array_split(np.arange(len(losses)), min(WINDOWS, len(losses)))
    middle = np.array([part.mean() + 1 for part in parts])
    return middle, np.stack([losses[part].mean(0) for part in parts])


def _log_loss(axes: Axes, curves: Sequence[np.ndarray]) -> None:
    """A log axis that one diverging curve cannot stretch beyond use."""
    values = np.concatenate([c[np.isfinite(c) & (c > 0)] for c in curves])
    if not len(values):
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    starts = [c[0] for c in curves if np.isfinite(c[0]) and c[0] > 0]
    top = 10 * float(np.median(starts)) if starts else np.inf
    low, high = max(float(values.min()) / 1.3, 1e-12), min(float(values.max()), top) * 1.3
    axes.set_ylim(low, high)
    few = high < 30 * low  # decades alone would leave such an axis nearly bare
    axes.yaxis.set_minor_formatter(
        FuncFormatter(lambda v, _: f"{v:g}" if few and f"{v:e}"[0] in "2346" else "")
    )


def _bar_limits(finite: np.ndarray, task: Task) -> tuple[float, float]:
    """Bars start at zero unless all are so alike that nothing would be seen."""
    if not len(finite):
        return 0.0, 1.0
    # One exploded loss must not flatten the others.
    high = float(finite.max() if task.score else min(finite.max(), 4 * np.median(finite)))
    low = float(finite.min())
    if task.score and low > 60:
        return max(0.0, 10 * np.floor((low - 5) / 10)), high
    return 0.0, high
