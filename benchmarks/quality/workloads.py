"""The workloads: data, a model, a budget of steps, and the validation loss to reach."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from flax import linen as nn

import gradchain as gc
from gradchain.compare import corpus, data, models
from gradchain.compare.tasks import Metric, accuracy, next_accuracy, next_entropy

from .vit import ViT

REACHED_AT = 0.7
"""The target is tuned AdamW's median validation loss at this share of the budget, up to hundredths."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """What is to be learned, and what counts as learned."""

    name: str
    what: str
    model: nn.Module
    head: str  # a regular expression for the output layer's name, which matrix optimizers leave to AdamW
    load: Callable[[Path | None], data.Data]
    loss: Metric
    score: Metric  # accuracy of each example
    steps: int  # the budget
    every: int  # steps from one measurement of the validation loss to the next
    target: float  # validation loss; measured once by `--targets`, then frozen
    batch_size: int = 32


def _digits(name: str, what: str, model: nn.Module, head: str, **others: float) -> Workload:
    loss = gc.softmax_cross_entropy_with_integer_labels
    return Workload(name, what, model, head, data.digits, loss, accuracy, **others)  # type: ignore[arg-type]


WORKLOADS: dict[str, Workload] = {
    w.name: w
    for w in (
        _digits(
            "digits_mlp",
            "digits, a multilayer perceptron",
            models.MLP(64, 10),
            "Dense_1",
            steps=400,
            every=10,
            target=0.10,
        ),
        _digits(
            "digits_cnn",
            "digits, a convolutional network",
            models.CNN(8, (16, 32), 10),
            "Dense_0",
            steps=400,
            every=10,
            target=0.08,
        ),
        _digits(
            "digits_vit",
            "digits, a vision transformer",
            ViT(side=8, patch=2, width=24, layers=1, heads=2, outputs=10),
            "head",
            steps=300,
            every=10,
            target=0.48,
            batch_size=16,
        ),
        Workload(
            "characters",
            "the next character of docstrings, a transformer",
            models.Transformer(len(corpus.ALPHABET), width=16, layers=1, heads=2),
            "Dense_2",
            corpus.characters,
            next_entropy,
            next_accuracy,
            steps=300,
            every=10,
            target=2.56,
            batch_size=16,
        ),
    )
}

SMALL = dataclasses.replace(
    WORKLOADS["digits_mlp"], name="small", model=models.MLP(16, 10), steps=40, every=10, target=1.0
)
"""For tests: seconds in all."""
