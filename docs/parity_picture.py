"""Draws docs/parity.png from the numbers in docs/parity.md: `python docs/parity_picture.py`."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from gradchain.compare.style import COLOURS, LOOK

PAGE = Path(__file__).with_name("parity.md")
EXACT = 1e-18
"""Where no error at all is shown."""
NAMED = 1e-6
"""Larger errors than this one have their row's name beside them."""


def errors(text: str) -> dict[str, list[tuple[str, float]]]:
    """By column of numbers, or by section with one such column: rows' names and errors."""
    found: dict[str, list[tuple[str, float]]] = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title, *lines = section.splitlines()
        rows = [
            [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line[:1] == "|"
        ]
        head, _, *rows = rows
        columns = [i for i, cell in enumerate(rows[0]) if re.fullmatch(r"\d\.\de[+-]\d\d", cell)]
        for i in columns:
            label = f"{title}, {head[i]}" if len(columns) > 1 else title
            found[label] = [(row[head.index("Name")] if "Name" in head else row[1], float(row[i]))
                            for row in rows if row[i]]  # fmt: skip
    return found


def draw(found: dict[str, list[tuple[str, float]]]) -> Figure:
    """A line for each reference, a dot for each row."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(9, 0.75 * len(found) + 1), layout="constrained")
        axes = figure.subplots()
        for line, (rows, colour) in enumerate(zip(found.values(), COLOURS, strict=False)):
            sizes = np.array([max(error, EXACT) for _, error in rows])
            spread = np.random.default_rng(0).uniform(-0.25, 0.25, len(rows))
            named = np.argsort(sizes)[np.sum(sizes <= NAMED) :]
            spread[named] = np.linspace(-0.3, 0.3, len(named)) if len(named) > 1 else 0
            axes.plot(sizes, line + spread, "o", ms=4, alpha=0.6, color=colour, markeredgewidth=0)
            for i in named:
                name, place = rows[i][0].strip("`").partition("(")[0], (sizes[i], line + spread[i])
                axes.annotate(name, place, (5, -3), textcoords="offset points", fontsize=7.5)
        axes.set(
            xscale="log",
            xlim=(EXACT / 5, 5e-3),
            ylim=(len(found) - 0.4, -0.6),
            xlabel="worst relative error of a row",
        )
        axes.set_xticks([EXACT, *10.0 ** np.arange(-16, -2, 2)])
        axes.set_xticklabels(["none", *(f"1e{power}" for power in range(-16, -2, 2))])
        axes.set_yticks(range(len(found)), [f"{label} ({len(rows)})" for label, rows in found.items()])
        axes.minorticks_off()
        axes.grid(axis="y", visible=False)
        axes.set_title("How exactly the numbers of others come out")
    return figure


def main() -> None:
    """Draws the page that is there."""
    draw(errors(PAGE.read_text())).savefig(PAGE.with_suffix(".png"))


if __name__ == "__main__":
    main()
