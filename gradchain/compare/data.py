"""Inputs and targets, divided once and for all into training, validation and test."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Some examples."""

    inputs: np.ndarray  # f32[n, ...], or i32[n, places] characters
    targets: np.ndarray  # i32[n] classes, f32[n] values, or i32[n, places] characters

    def __len__(self) -> int:  # of examples, not of fields
        return len(self.targets)


class Data(NamedTuple):
    """The same division for every optimizer and every seed."""

    train: Split  # the gradients see these
    validation: Split  # a sweep chooses the learning rate by these
    test: Split  # reported, never used to choose


def hold_out(examples: Split, share: float) -> tuple[Split, Split]:
    """Divides off the last `share` of the examples (at least one)."""
    cut = len(examples) - max(1, round(share * len(examples)))
    return (
        Split(examples.inputs[:cut], examples.targets[:cut]),
        Split(examples.inputs[cut:], examples.targets[cut:]),
    )


def divide(inputs: np.ndarray, targets: np.ndarray) -> Data:
    """Shuffles with a fixed seed, then takes 20% for the test and 15% for validation."""
    order = np.random.default_rng(0).permutation(len(targets))
    rest, test = hold_out(Split(inputs[order], targets[order]), 0.20)
    return Data(*hold_out(rest, 0.15 / 0.80), test)


def digits(folder: Path | None) -> Data:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, in [0, 1]."""
    del folder  # it comes with scikit-learn
    from sklearn.datasets import load_digits

    inputs, targets = load_digits(return_X_y=True)
    return divide((np.asarray(inputs) / 16).astype(np.float32), np.asarray(targets).astype(np.int32))


def diabetes(folder: Path | None) -> Data:
    """scikit-learn's 442 diabetes patients; inputs and target standardized on the training part."""
    del folder  # it comes with scikit-learn
    from sklearn.datasets import load_diabetes

    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    raw = divide(np.asarray(inputs), np.asarray(targets))
    mean, std = raw.train.inputs.mean(0), raw.train.inputs.std(0)
    middle, spread = raw.train.targets.mean(), raw.train.targets.std()

    def standardized(s: Split) -> Split:
        x, y = (s.inputs - mean) / std, (s.targets - middle) / spread
        return Split(x.astype(np.float32), y.astype(np.float32))

    return Data(*map(standardized, raw))
