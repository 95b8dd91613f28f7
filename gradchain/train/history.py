"""What a run measures: fetched from the device two steps later, so that the device never waits."""

import collections
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

AHEAD = 2
"""The steps that the device may have before it while a loss is fetched."""


class History:
    """The metrics of a run, and a watch on its loss.

    Args:
        every: the steps between two entries.
        told: called with the step and its metrics.
        shown: called with each step and its loss.
        stops: whether a loss that is not finite ends the run.
    """

    def __init__(
        self,
        every: int,
        told: Callable[[int, dict[str, Any]], Any] | None,
        shown: Callable[[int, float], Any],
        stops: bool,
    ):
        self.every, self.told, self.shown, self.stops = every, told, shown, stops
        self.metrics: dict[str, list[Any]] = {"step": []}
        self.waiting: collections.deque[tuple[int, Any, Any]] = collections.deque()

    def add(self, step: int, loss: Any, others: Mapping[str, Any], last: bool) -> None:
        """Takes what the device computes in a step."""
        self.waiting.append((step, loss, others if step % self.every == 0 or last else None))
        while len(self.waiting) > AHEAD:
            self._settle(*self.waiting.popleft())

    def finish(self) -> None:
        """Waits for all steps.

        Raises: FloatingPointError at a loss that is not finite, here and in `add`.
        """
        while self.waiting:
            self._settle(*self.waiting.popleft())

    def _settle(self, step: int, loss: Any, others: Mapping[str, Any] | None) -> None:
        value = float(loss)
        if self.stops and not math.isfinite(value):
            raise not_finite(f"the loss of step {step} is {value}")
        self.shown(step, value)
        if others is None:
            return
        found = {
            "step": step,
            "loss": value,
            **{k: _plain(v) for k, v in jax.device_get(dict(others)).items()},
        }
        for name, x in found.items():
            self.metrics.setdefault(name, []).append(x)
        if self.told is not None:
            self.told(step, found)


def not_finite(what: str) -> FloatingPointError:
    """The error that ends a run whose numbers are lost."""
    return FloatingPointError(
        f"fit: {what}. Nothing was saved over the last good checkpoint. Look at that step's batch and at "
        "the learning rate. To go on instead, wrap the transformation in apply_if_finite or skip_outliers, "
        'which leave such steps out, and give nan="go_on".'
    )


def _plain(x: Any) -> Any:
    """A Python number for a scalar."""
    return x.item() if np.ndim(x) == 0 and hasattr(x, "item") else x
