"""Loss and score of every run on the parts of the data, by one small program for all contenders."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .data import Split
from .tasks import Task

MOST_AT_ONCE = 128
"""Examples. More of them would leave the caches."""

Piece = tuple[jax.Array, jax.Array, jax.Array]
"""Inputs, targets, and a weight for each example: 0 for what fills up the last piece."""


class Measurement:
    """Measures parameters that have axes for learning rates and seeds in front."""

    def __init__(self, task: Task, predict: Callable[..., jax.Array], splits: Sequence[Split]):
        self.task, self.predict = task, predict
        size = min(MOST_AT_ONCE, max(map(len, splits)))
        self.pieces = [_pieces(split, size) for split in splits]
        self.sizes = [len(split) for split in splits]
        self.program = jax.jit(self._every_run)  # the same for every split and every contender

    def test(self, params: Any) -> tuple[np.ndarray, np.ndarray]:
        """Loss and score on the last split: f32[rates, seeds] each."""
        return self._split(params, len(self.pieces) - 1)

    def all(self, params: Any) -> tuple[np.ndarray, np.ndarray]:
        """Loss and score on each split: f32[splits, rates, seeds] each."""
        found = [self._split(params, i) for i in range(len(self.pieces))]
        return np.stack([loss for loss, _ in found]), np.stack([score for _, score in found])

    def _split(self, params: Any, i: int) -> tuple[np.ndarray, np.ndarray]:
        sums = [self.program(params, *piece) for piece in self.pieces[i]]
        loss, score = (np.sum(np.array(column, np.float64), 0) for column in zip(*sums, strict=True))
        with np.errstate(over="ignore"):  # of a diverged run
            return (loss / self.sizes[i]).astype(np.float32), (score / self.sizes[i]).astype(np.float32)

    def _every_run(self, params: Any, *piece: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The sums for every run: one learning rate after the other, since more would leave the caches."""
        seeds = jax.vmap(self._piece, (0, None, None, None))
        return jax.lax.map(lambda each: seeds(each, *piece), params)

    def _piece(
        self, params: Any, inputs: jax.Array, targets: jax.Array, weights: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The sums over the examples of one piece."""
        predictions = self.predict(params, inputs)
        loss = self.task.loss(predictions, targets)
        score = jnp.zeros_like(loss) if self.task.score is None else self.task.score(predictions, targets)
        # Where, not times: what fills up may have an infinite loss.
        return tuple(jnp.where(weights > 0, x, 0.0).sum() for x in (loss, score))  # type: ignore[return-value]


def _pieces(split: Split, size: int) -> list[Piece]:
    """The examples in pieces of one size, on the device."""
    pieces = []
    for start in range(0, len(split), size):
        inputs, targets = (array[start : start + size] for array in split)
        missing = size - len(targets)
        weights = np.r_[np.ones(len(targets), np.float32), np.zeros(missing, np.float32)]
        fill = [np.concatenate([a, np.repeat(a[:1], missing, 0)]) for a in (inputs, targets)]
        pieces.append(jax.device_put((*fill, weights)))
    return pieces
