"""What both pictures are drawn with."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from .style import LOOK
from .tasks import Task

RED = "#CC3311"
Style = Mapping[str, dict[str, Any]]


def sized(width: float, height: float, narrow_width: float, narrow_height: float, narrow: bool) -> Any:
    """The size of a picture in inches."""
    return (narrow_width, narrow_height) if narrow else (width, height)


@contextmanager
def drawn(size: tuple[float, float], caption: str, narrow: bool) -> Iterator[tuple[Figure, io.BytesIO]]:
    """An empty figure to draw in, and the bytes that hold it as PNG afterwards."""
    with rc_context(dict(LOOK)), warnings.catch_warnings():
        # All-NaN windows are what a divergence looks like, no cause for concern.
        warnings.simplefilter("ignore", RuntimeWarning)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12, wspace=0.04, hspace=0.06)  # type: ignore[union-attr]
        content = io.BytesIO()
        yield figure, content
        if not narrow:  # on a phone, the page says it already
            figure.suptitle(caption, x=0.015, ha="left", fontsize=12.5, color="#222222")
        figure.savefig(content, format="png", dpi=220 if narrow else 150)


def label(task: Task, part: str = "test") -> str:
    """What decides, with its unit."""
    return f"{part} accuracy (%)" if task.score else f"{part} loss"


def short(name: str, most: int = 34) -> str:
    """A long chain, shortened in its middle."""
    end = most // 3
    return name if len(name) <= most else f"{name[: most - end - 3]} … {name[-end:]}"


def log_axis(axes: Axes, curves: Sequence[np.ndarray]) -> None:
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
