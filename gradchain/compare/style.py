"""Colours that colour-blind readers can tell apart, and the look of the picture."""

from collections.abc import Sequence
from typing import Any

# Paul Tol's "muted" scheme, with a darker yellow and with black. After ten lines, dashes tell them apart.
COLOURS = (
    "#332288", "#CC6677", "#117733", "#88CCEE", "#AA4499",
    "#B8A030", "#44AA99", "#882255", "#777777", "#111111",
)  # fmt: skip
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))

LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelcolor": "#444444",
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
}


def lines(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How each contender's line is drawn, wherever it appears."""
    return {
        name: {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i // len(COLOURS) % 3]}
        for i, name in enumerate(names)
    }
