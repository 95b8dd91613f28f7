"""The picture of the page: optimizers as shares of what memory allows."""

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

from .harness import FLAGGED, OURS, REFERENCE, Benchmark, Figure
from .pytorch import FOREACH, FUSED

SHOWN = {
    "sgd": "SGD",
    "momentum": "SGD,\nmomentum",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "amsgrad": "AMSGrad",
    "lion": "Lion",
    "adan": "Adan",
    "adamw, GPT-2 small": "AdamW,\nGPT-2 small",
}
"""The rows of `one_pass` that are drawn, and their names."""

COLUMNS: dict[str, tuple[int, str, str]] = {
    REFERENCE: (0, "#999999", ""),
    FUSED: (1, "#E69F00", ""),
    FOREACH: (1, "#E69F00", "////"),
    OURS: (2, "#56B4E9", ""),
    FLAGGED: (3, "#0072B2", ""),
}
"""Each column's place in a group, colour and hatch; Okabe and Ito's colours, which all can tell apart."""

LABELS = {REFERENCE: "Optax", FUSED: "PyTorch, fused", FOREACH: "PyTorch, foreach"}
WIDTH = 0.21
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
TITLE = "A training step beside what memory allows"
SUBTITLE = (
    "100%: as fast as a copy that moves the least bytes the step can move. "
    "One array of 16M float32, and GPT-2 small: 148 arrays, 124M."
)

Bars = Mapping[str, Mapping[str, float]]
"""Optimizer to column to percent."""


def bars(results: Iterable[tuple[Benchmark, list[Figure]]]) -> Bars:
    """What is drawn of these results: empty if `one_pass` is not among them."""
    from .families.one_pass import SHARE

    found = {
        figure.quantity: figure for _, figures in results for figure in figures if figure.table == SHARE
    }
    return {
        label: {column: found[name].median(column) for column in COLUMNS if column in found[name].samples}
        for name, label in SHOWN.items()
        if name in found
    }


def draw(bars: Bars, file: Path) -> str | None:
    """Draws bars into a file.

    Returns: the file's name, or None if there is nothing to draw, or nothing to draw with.
    """
    if not bars or importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(13, 5.6), dpi=150, layout="constrained")
    axes = picture.add_subplot()
    columns = [column for column in COLUMNS if any(column in of for of in bars.values())]
    for column in columns:
        place, colour, hatch = COLUMNS[column]
        there = [i for i, of in enumerate(bars.values()) if column in of]
        drawn = axes.bar(
            [i + WIDTH * (place - 1.5) for i in there],
            [list(bars.values())[i][column] for i in there],
            0.9 * WIDTH,
            label=LABELS.get(column, column),
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
            zorder=2,
        )
        axes.bar_label(drawn, fmt="%.0f", fontsize=8, padding=2, color="#444444", bbox=WHITE, zorder=4)
    axes.axhline(100, color="#222222", linewidth=1, linestyle=(0, (4, 3)), zorder=1.5)
    top = max(110.0, 1.08 * max(max(of.values()) for of in bars.values()))
    axes.set_ylim(0, top)
    axes.set_xlim(-0.6, len(bars) - 0.4)
    axes.set_xticks(range(len(bars)), list(bars), fontsize=10)
    axes.set_yticks(range(0, 101, 25), [f"{y}%" for y in range(0, 101, 25)])
    axes.tick_params(length=0)
    axes.grid(axis="y", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_ylabel("share of the memory limit (higher is faster)")
    axes.set_title(TITLE, loc="left", pad=54, fontsize=15, fontweight="bold")
    above = {"xy": (0, 1), "xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(SUBTITLE, xytext=(0, 36), fontsize=10, color="#444444", **above)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=len(columns),
        frameon=False,
        borderaxespad=0,
        borderpad=0.3,
        handlelength=1.4,
        fontsize=10,
    )
    picture.savefig(file)
    return file.name
