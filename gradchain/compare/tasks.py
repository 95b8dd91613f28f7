"""The tasks: data, a model, what is minimized, and how long a comparison takes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

import gradchain as gc

from . import corpus, data, idx, models
from .errors import CompareError, unknown

Metric = Callable[[jax.Array, jax.Array], jax.Array]
"""From the predictions and the targets of a batch to one number per example."""


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """One where the largest logit is the label's, else zero."""
    return jnp.asarray(jnp.argmax(logits, -1) == labels, jnp.float32)


def next_accuracy(logits: jax.Array, characters: jax.Array) -> jax.Array:
    """The share of a line's characters that are predicted."""
    return accuracy(logits, characters).mean(-1)


def next_entropy(logits: jax.Array, characters: jax.Array) -> jax.Array:
    """The mean cross-entropy of a line's characters."""
    return gc.softmax_cross_entropy_with_integer_labels(logits, characters).mean(-1)


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be learned. A task without `score` is judged by its loss."""

    name: str
    what: str
    model: nn.Module
    load: Callable[[Path | None], data.Data]
    loss: Metric
    score: Metric | None
    epochs: int
    target: float  # of the test score (at least), or of the test loss (at most)
    exact: bool = False  # whether the least-squares solution is known to be the optimum
    batch_size: int = 32
    seeds: int = 5  # as many as a minute has room for
    rounds: int = 1  # how often an epoch is measured

    @property
    def metric(self) -> str:
        """The name of what decides who wins."""
        return "accuracy" if self.score else "loss"

    @property
    def goal(self) -> str:
        """The target in words."""
        at = f"{self.target:.0%}" if self.score else f"<= {self.target:g}"
        return f"test {self.metric} {at}"

    def reached(self, value: float) -> bool:
        """Whether a test metric is as good as the target."""
        return value >= self.target if self.score else value <= self.target


def _classify(
    name: str,
    what: str,
    model: nn.Module,
    load: Callable[[Path | None], data.Data],
    *,
    epochs: int,
    target: float,
    **others: Any,
) -> Task:
    loss = gc.softmax_cross_entropy_with_integer_labels
    return Task(name, what, model, load, loss, accuracy, epochs, target, **others)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _classify(
            "digits",
            "handwritten digits (scikit-learn), a multilayer perceptron",
            models.MLP(64, 10),
            data.digits,
            epochs=20,
            target=0.95,
        ),
        _classify(
            "mnist",
            "handwritten digits (MNIST's IDX files), a multilayer perceptron",
            models.MLP(32, 10),
            idx.mnist,
            epochs=1,
            target=0.90,
            seeds=3,
            rounds=4,
        ),
        Task(
            "regression",
            "the progress of diabetes (scikit-learn), a linear model",
            models.Linear(1),
            data.diabetes,
            gc.squared_error,
            None,
            epochs=50,
            target=0.55,
            exact=True,
        ),
        _classify(
            "images",
            "handwritten digits (scikit-learn), a convolutional network",
            models.CNN(8, (16, 32), 10),
            data.digits,
            epochs=8,
            target=0.95,
        ),
        _classify(
            "sequence",
            "handwritten digits (scikit-learn) read row by row, a recurrent network",
            models.RNN(8, 32, 10),
            data.digits,
            epochs=8,
            target=0.90,
        ),
        _classify(
            "text",
            "which standard-library package a docstring is from, a linear model on words",
            models.Linear(len(corpus.PACKAGES)),
            corpus.library,
            epochs=5,
            target=0.80,
        ),
        Task(
            "characters",
            "the next character of standard-library docstrings, a small transformer",
            models.Transformer(len(corpus.ALPHABET), width=16, layers=1, heads=2),
            corpus.characters,
            next_entropy,
            next_accuracy,
            epochs=1,
            target=0.25,
            batch_size=16,
            seeds=3,
            rounds=4,
        ),
    )
}


def find(name: str) -> Task:
    """The task of this name."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def load(task: Task, folder: Path | None) -> data.Data:
    """A task's data. Only mnist is read from a folder."""
    if folder is not None and task.load is not idx.mnist:
        raise CompareError(f"--data belongs to the task mnist; the task {task.name} brings its own data.")
    return task.load(folder)
