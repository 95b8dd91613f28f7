"""The pictures: performance profiles, and steps to the target with their ranges."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from gradchain.compare.style import LOOK, lines

from . import figures, scoring
from .contenders import CONTENDERS
from .figures import YARDSTICK, Data

PROFILE, STEPS = "quality_profile.png", "quality_steps.png"
EMPHASIS = "#CC6677"


def names(data: Data) -> list[tuple[str, str]]:
    """The pictures there are of these results: title and file of each."""
    if not figures.workloads(data):
        return []
    return [("Performance profiles", PROFILE), ("Steps to the target", STEPS)]


def draw(data: Data, folder: Path) -> list[tuple[str, str]]:
    """Draws the pictures; returns `names`."""
    if not names(data):
        return []
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(LOOK):
        for draw_one, file in ((_profiles, PROFILE), (_steps, STEPS)):
            picture = draw_one(Figure, data)
            picture.savefig(folder / file)
    return names(data)


def _profiles(figure: Any, data: Data) -> Any:
    """The profiles by steps and by time. Lines that coincide are drawn a little apart."""
    tables = {"by steps": figures.by_steps(data), "by time": figures.by_time(data)}
    shown = {title: table for title, table in tables.items() if table}
    picture = figure(figsize=(5.9 * len(shown), 5.6), layout="constrained")
    looks = lines([YARDSTICK, *(name for name in CONTENDERS if name != YARDSTICK)])
    for look in looks.values():  # black is for the yardstick alone
        look["color"] = look["color"].replace("#111111", "#DD7700")
    for axes, (title, table) in zip(np.ravel(picture.subplots(1, len(shown))), shown.items(), strict=True):
        ranked = figures.ranking(table)
        tau = np.linspace(1, scoring.MAX_TAU, 601)
        for i, (name, value) in enumerate(ranked):
            share = np.array([scoring.profile(table, name, t) for t in tau])
            apart = 0.006 * (len(ranked) / 2 - i)
            first = name == YARDSTICK
            axes.plot(
                tau,
                share + apart,
                label=f"{value:.2f}  {name}",
                linewidth=3.2 if first else 1.6,
                zorder=3 if first else 2,
                **looks[name] | ({"color": "black", "linestyle": "-"} if first else {}),
            )
        axes.set_title(f"Performance profile, {title}")
        axes.set_xlabel("times the best optimizer's, at most")
        axes.set_ylabel("share of the workloads")
        axes.set_xlim(1, scoring.MAX_TAU)
        axes.set_ylim(-0.06, 1.08)
        axes.legend(
            title="score, optimizer", loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=8.5
        )
    return picture


def _steps(figure: Any, data: Data) -> Any:
    """One panel for each workload: the median and the range of the seeds."""
    shown = figures.workloads(data)
    columns = min(2, len(shown))
    high = -(-len(shown) // columns)
    picture = figure(figsize=(6.2 * columns, 4.3 * high), layout="constrained")
    panels = np.ravel(picture.subplots(high, columns, squeeze=False))
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    for axes, workload in zip(panels, shown, strict=False):
        of = data["facts"]["workloads"][workload]
        _panel(axes, figures.rows(data, workload), of["steps"])
        axes.set_title(f"{workload}: steps to a validation loss of {of['target']:g}")
    seeds = data["facts"]["seeds"]
    picture.supxlabel(
        f"Dots: medians of {seeds} seeds; bars: their ranges; dashed: AdamW's median.", fontsize=10
    )
    return picture


def _panel(axes: Any, rows: list[figures.Row], budget: int) -> None:
    """Medians as dots, ranges as bars; what was not reached is at the right, behind the budget."""
    beyond = 1.12 * budget
    axes.axvspan(1.04 * budget, 1.2 * budget, color="#F2F2F2", zorder=0)
    theirs = next(row for row in rows if row.name == YARDSTICK).steps.median
    if math.isfinite(theirs):
        axes.axvline(theirs, color="#BBBBBB", linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    for place, row in enumerate(rows):
        low, middle, high = (min(x, beyond) for x in (row.steps.low, row.steps.median, row.steps.high))
        colour = EMPHASIS if row.name == YARDSTICK else "#332288"
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, alpha=0.55)
        axes.plot([middle], [place], "o", color=colour, markersize=6)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * budget)
    within = [round(budget * share) for share in (0, 0.25, 0.5, 0.75, 1)]
    ticks = [*within, 1.12 * budget]
    axes.set_xticks(ticks, [*map(str, within), "not\nreached"])
    axes.grid(axis="y", visible=False)
