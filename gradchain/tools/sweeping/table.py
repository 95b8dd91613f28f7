"""What a sweep found: a row for each run."""

import html
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...core import nearest
from ..grid import Cell, Grid

MOST_ROWS = 30


class Run(NamedTuple):
    """One run of a sweep."""

    tx: Any  # the transformation it trained with
    hyperparams: dict[str, Any]  # by name
    results: dict[str, Any]  # by name: what `train` returned


class Sweep(Mapping[str, np.ndarray]):
    """A table of runs: columns by name, each an array whose first axis is the runs.

    The columns are the hyperparameters, what `train` returned, and `diverged`: whether any of it is
    infinite or NaN.

    Args: make, from hyperparameters to a transformation; the others are attributes.

    Attributes:
        hyperparams, results: the columns of each kind, by name.
        diverged: bool[runs].
        looped: by name, why a hyperparameter could not be mapped: each of its values was compiled anew.
        compile_seconds, seconds: what the programs took to trace and compile, and to run.
    """

    def __init__(
        self,
        make: Callable[[dict[str, Any]], Any],
        hyperparams: dict[str, np.ndarray],
        results: dict[str, np.ndarray],
        looped: dict[str, str],
        compile_seconds: float,
        seconds: float,
    ):
        self._make = make
        self.hyperparams, self.results, self.looped = hyperparams, results, looped
        self.compile_seconds, self.seconds = compile_seconds, seconds
        self.diverged = np.zeros(len(next(iter(hyperparams.values()))), bool)
        for column in results.values():
            if np.issubdtype(column.dtype, np.inexact):
                self.diverged |= ~np.isfinite(column).reshape(len(column), -1).all(1)

    def __getitem__(self, name: str) -> np.ndarray:
        columns = {**self.hyperparams, **self.results, "diverged": self.diverged}
        if name not in columns:
            hint = nearest(name, columns)
            raise KeyError(f"there is no column {name!r}; there are {', '.join(columns)}.{hint}")
        return columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.hyperparams, *self.results, "diverged"))

    def __len__(self) -> int:
        return len(self.hyperparams) + len(self.results) + 1

    def order(self, metric: str | None = None, *, maximize: bool = False) -> np.ndarray:
        """The rows from the best to the worst, those that diverged last: i64[runs].

        Args: metric, a result with one number for each run, None if there is only one such; maximize,
            whether more is better (an accuracy, say).
        Raises: ValueError for another metric.
        """
        values = np.asarray(self[self.metric(metric)], np.float64)
        return np.lexsort((-values if maximize else values, self.diverged | np.isnan(values)))

    def best(self, metric: str | None = None, *, maximize: bool = False) -> Run:
        """The best run, with its transformation: see `order`.

        Raises: ValueError if every run diverged.
        """
        if self.diverged.all():
            raise ValueError("best: every run diverged; sweep smaller learning rates.")
        row = self.order(metric, maximize=maximize)[0]
        hyperparams = {name: _plain(column[row]) for name, column in self.hyperparams.items()}
        results = {name: _plain(column[row]) for name, column in self.results.items()}
        return Run(self._make(hyperparams), hyperparams, results)

    def metric(self, metric: str | None) -> str:
        """The name of a result with one number for each run: the one asked for, or the only one."""
        numbers = [name for name, column in self.results.items() if column.ndim == 1]
        if metric is None and len(numbers) == 1:
            return numbers[0]
        if metric not in numbers:
            asked = "name one of them" if metric is None else f"{metric!r} is none of them"
            known = ", ".join(numbers) or "(none)"
            raise ValueError(
                f"sweep: the results with one number for each run are {known}; {asked}."
                + (nearest(metric, numbers) if metric else "")
            )
        return metric

    def to_pandas(self) -> Any:
        """A pandas DataFrame. A result with more axes becomes a column of arrays."""
        try:
            import pandas  # type: ignore[import-not-found]
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install pandas.") from error
        return pandas.DataFrame({n: list(c) if c.ndim > 1 else c for n, c in self.items()})

    def plot(self, metric: str | None = None, *, maximize: bool = False) -> Any:
        """The metric against each hyperparameter: see `sweep_picture`. Returns the matplotlib Figure."""
        from .picture import draw

        return draw(self, self.metric(metric), maximize)

    def grid(self) -> Grid:
        """The first rows, for `str` and notebooks; diverged ones are marked."""
        shown = [n for n in (*self.hyperparams, *self.results) if self[n].ndim == 1]
        rows = [
            [Cell(_text(self[n][i]), "dim" if self.diverged[i] else "") for n in shown]
            + [Cell("diverged" if self.diverged[i] else "", "warning")]
            for i in range(min(MOST_ROWS, len(self.diverged)))
        ]
        return Grid([*shown, ""], rows, frozenset(range(len(shown))))

    def _notes(self) -> list[str]:
        runs = len(self.diverged)
        took = f"compiled in {self.compile_seconds:.1f} s, trained in {self.seconds:.1f} s"
        notes = [f"{runs} runs, {int(self.diverged.sum())} diverged, {took}"]
        notes += [f"the first {MOST_ROWS} are shown"] * (runs > MOST_ROWS)
        return [*notes, *(f"{name} was not mapped: {why}" for name, why in self.looped.items())]

    def __str__(self) -> str:
        return "\n".join([self.grid().text(), *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.grid().html() + "".join(f"<div>{html.escape(n)}</div>" for n in self._notes())

    def __rich__(self) -> Any:
        from rich.console import Group

        return Group(self.grid().rich(), *self._notes())


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)


def _plain(value: Any) -> Any:
    """A number as Python has it."""
    return value.item() if isinstance(value, np.generic) else value
