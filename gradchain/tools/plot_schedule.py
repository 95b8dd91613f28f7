"""A picture of schedules."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def plot_schedule(
    schedule: Callable[[Any], Any] | Sequence[Callable[[Any], Any]],
    steps: int | Sequence[int],
    ax: Any = None,
) -> Any:
    """Draws one schedule or several over the steps of a run.

    Args:
        schedule: a function of the step count, or a sequence of them; each is labelled by its repr.
        steps: the length of the run (drawn at no more than 2,000 of its steps, both ends
            included), or the very steps to draw.
        ax: the matplotlib Axes to draw into, by default new ones.

    Returns: the Axes.
    Raises: ImportError without matplotlib; ValueError if `steps` is less than 1.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError('plot_schedule needs matplotlib: pip install "gradchain[plot]".') from error
    schedules = [schedule] if callable(schedule) else list(schedule)
    at = _steps(steps)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for one in schedules:
        values = jax.vmap(lambda count, f=one: jnp.asarray(f(count)))(jnp.asarray(at))
        ax.plot(at, np.asarray(values), label=_label(one))
    ax.set_xlabel("step")
    ax.set_ylabel("value")
    ax.margins(x=0)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def _steps(steps: int | Sequence[int]) -> np.ndarray:
    if isinstance(steps, (int, np.integer)):
        if steps < 1:
            raise ValueError(f"plot_schedule: steps must be at least 1, received {steps!r}.")
        return np.unique(np.linspace(0, int(steps), num=min(int(steps) + 1, 2000)).astype(np.int32))
    return np.asarray(steps, np.int32)


def _label(schedule: Callable[[Any], Any]) -> str:
    text = getattr(schedule, "__name__", None) or repr(schedule)
    return "\n".join(textwrap.wrap(text, 90, subsequent_indent="    "))
