"""What a random search draws hyperparameters from."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Uniform(NamedTuple):
    """Numbers between two bounds, all alike or, with `log`, all magnitudes alike."""

    low: float
    high: float
    log: bool

    def draw(self, rng: np.random.Generator, samples: int) -> list[float]:
        """Numbers, one from each of `samples` equal parts of the range, in random order."""
        places = (rng.permutation(samples) + rng.random(samples)) / samples
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        drawn = low + (high - low) * places
        return [float(x) for x in (np.exp(drawn) if self.log else drawn)]


def uniform(low: float, high: float) -> Uniform:
    """Numbers between `low` and `high`, all equally likely.

    Raises: ValueError unless both are finite and `low` is less than `high`.
    """
    return _checked("uniform", low, high, log=False)


def log_uniform(low: float, high: float) -> Uniform:
    """Numbers between `low` and `high` whose logarithms are equally likely: for rates and decays.

    Raises: ValueError unless 0 < low < high, both finite.
    """
    return _checked("log_uniform", low, high, log=True)


def _checked(who: str, low: float, high: float, log: bool) -> Uniform:
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not log)):
        bounds = "0 < low < high" if log else "low < high"
        raise ValueError(f"{who}: expected finite bounds with {bounds}, received {low} and {high}.")
    return Uniform(float(low), float(high), log)


def drawn(source: Uniform | Sequence[Any], rng: np.random.Generator, samples: int) -> list[Any]:
    """Values from a range or from a list of choices, which come equally often."""
    if isinstance(source, Uniform):
        return source.draw(rng, samples)
    choices = list(source)
    order = rng.permutation(samples)
    return [choices[i % len(choices)] for i in order]
