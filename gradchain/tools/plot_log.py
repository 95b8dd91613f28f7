"""A picture of what was logged."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

SHARES = "shares of steps"
PANELS = {
    "learning rate": ("learning_rate",),
    "norms": ("grad_norm", "update_norm"),
    "|update| / |parameters|": ("update_ratio",),
    SHARES: ("clipped", "skipped"),
}
"""What is drawn together; anything else that was logged gets panels of its own."""
LOGARITHMIC = ("norms", "|update| / |parameters|")
HIDDEN = ("step", "param_norm")


def plot_log(rows: Iterable[Mapping[str, Any]], x: str = "step") -> Any:
    """Draws the rows of a log: a panel for the learning rate, for norms, for their ratios, for shares.

        rows.append(jax.device_get(gc.measurements(state)))  # every now and then
        plot_log(rows).figure.savefig("log.png")

    Args: rows, dicts such as `measurements` gives, of numbers; other numbers (a loss) get their own panels;
        x, the key that is the horizontal axis.
    Returns: the last of the Axes; all are in its figure.
    Raises: ImportError without matplotlib; ValueError without rows, or for a row without `x`.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError('plot_log needs matplotlib: pip install "gradchain[plot]".') from error
    rows = list(rows)
    if not rows or any(x not in row for row in rows):
        raise ValueError(f"plot_log: every row must have the key {x!r}, and there must be one at least.")
    keys = list(dict.fromkeys(key for row in rows for key in row if key != x))
    panels = {title: curves for title, words in PANELS.items() if (curves := _of(words, keys))}
    known = {key for curves in panels.values() for key in curves} | set(_of(HIDDEN, keys))
    panels = {key: [key] for key in keys if key not in known} | panels
    size = (7, 0.6 + 1.9 * len(panels))
    _, axes = plt.subplots(len(panels), sharex=True, squeeze=False, figsize=size, layout="constrained")
    for ax, (title, curves) in zip(axes[:, 0], panels.items(), strict=True):
        for key in curves:
            points = [(float(row[x]), float(row[key])) for row in rows if key in row]
            at, values = np.array(points).T
            if title in LOGARITHMIC and np.any(values > 0):
                ax.set_yscale("log")
                values = np.where(values > 0, values, np.nan)
            thick, dots = (1, "") if "/" in key else (2, "." * (len(at) < 3))
            ax.plot(at, values, label=key, linewidth=thick, marker=dots)
        ax.set_title(title if len(curves) > 1 else curves[0], loc="left", fontsize="medium")
        if title == SHARES:
            ax.set_ylim(-0.05, 1.05)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        if len(curves) > 1:
            ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    axes[-1, 0].set_xlabel(x)
    axes[-1, 0].margins(x=0.01)
    return axes[-1, 0]


def _of(words: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The keys that are these words, or begin with one and a slash."""
    return [key for key in keys if key.split("/")[0] in words]
