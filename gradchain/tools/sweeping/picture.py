"""The picture of a sweep."""

from typing import Any

import numpy as np

FEW = 5
"""Values that an axis names one by one."""


def draw(table: Any, metric: str, maximize: bool) -> Any:
    """One panel for each hyperparameter: every run, and the best at each value.

    Runs that diverged stand as crosses at the bad end.

    Returns: the matplotlib Figure.
    Raises: ImportError without matplotlib.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError('plot needs matplotlib: pip install "gradchain[plot]".') from error
    names = list(table.hyperparams)
    figure, row = plt.subplots(
        1,
        len(names),
        figsize=(1.5 + 3.5 * len(names), 3.4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, name in zip(row[0], names, strict=True):
        _panel(ax, table, name, metric, maximize)
    row[0][0].set_ylabel(metric)
    shown = np.asarray(table[metric], np.float64)[~table.diverged]
    if len(shown) and shown.min() > 0 and shown.max() > 100 * shown.min():
        row[0][0].set_yscale("log")
    return figure


def _panel(ax: Any, table: Any, name: str, metric: str, maximize: bool) -> None:
    values, found, bad = table[name], np.asarray(table[metric], np.float64), table.diverged
    x, labels = _places(values)
    ax.scatter(x[~bad], found[~bad], s=16, color="#4c72b0", alpha=0.6, linewidths=0, label="a run")
    places = [p for p in np.unique(x) if (~bad & (x == p)).any()]
    best = [(np.max if maximize else np.min)(found[~bad & (x == p)]) for p in places]
    if len(places) < len(x) or len(table.hyperparams) == 1:
        ax.plot(places, best, color="#4c72b0", linewidth=1.5, label="the best at each value")
    if bad.any():
        edge = 0.03 if maximize else 0.97
        ax.scatter(
            x[bad], np.full(bad.sum(), edge), marker="x", s=22, color="#c44e52", label="diverged",
            transform=ax.get_xaxis_transform(),
        )  # fmt: skip
    distinct = np.unique(x)
    if labels is not None:
        ax.set_xticks(range(len(labels)), labels)
    elif len(distinct) <= FEW:
        ax.set_xticks(distinct, [f"{value:g}" for value in distinct])
    elif (values > 0).all() and values.max() > 10 * values.min():
        ax.set_xscale("log")
    ax.set_xlabel(name)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")


def _places(values: np.ndarray) -> tuple[np.ndarray, list[str] | None]:
    """Where values stand on an axis; those that are no numbers one after another, with their names."""
    if np.issubdtype(values.dtype, np.number):
        return np.asarray(values, np.float64), None
    texts = [str(v) for v in values]
    labels = list(dict.fromkeys(texts))
    return np.array([labels.index(t) for t in texts], np.float64), labels
