"""The progress bar: step, loss, steps per second, and the time that is left."""

from typing import Any

import jax


class Bar:
    """A bar on standard error, if that is a terminal; nothing otherwise.

    Args: steps, in all; begin, taken before; shown, whether the user wants it.
    Raises: ImportError if it is to be drawn and rich is missing.
    """

    def __init__(self, steps: int, begin: int, shown: bool):
        self.progress: Any = _drawn(shown)
        if self.progress is not None:
            self.task = self.progress.add_task(
                "", total=steps, completed=begin, loss=float("nan"), begin=begin
            )

    def __enter__(self) -> "Bar":
        if self.progress is not None:
            self.progress.start()
        return self

    def __exit__(self, *unused: object) -> None:
        if self.progress is not None:
            self.progress.stop()

    def show(self, step: int, loss: float) -> None:
        """Shows the loss of a step."""
        if self.progress is not None:
            self.progress.update(self.task, completed=step, loss=loss)


def _drawn(shown: bool) -> Any:
    """A bar of rich, or None."""
    import sys

    if not (shown and jax.process_index() == 0 and sys.stderr.isatty()):
        return None
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text
    except ImportError as error:
        raise ImportError(
            'fit: the progress bar needs rich: install it with pip install "gradchain[train]", or give '
            "progress=False."
        ) from error

    class Rate(ProgressColumn):
        """Steps per second."""

        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:.3g} steps/s" if task.speed else "")

    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4g}"),
        Rate(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))
