"""Distributions of noise: what is drawn, and the logarithm of its density."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from ..core import cast, dtype_of, widen


@runtime_checkable
class Noise(Protocol):
    """What `make_perturbed_fun` asks of a distribution of noise."""

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """Independent draws: an array of this shape and dtype."""
        ...

    def log_prob(self, inputs: jax.Array) -> jax.Array:
        """The logarithm of the density of each entry, up to a constant."""
        ...


@dataclasses.dataclass(frozen=True)
class Normal:
    """The standard normal distribution, of density exp(-z^2 / 2) up to a constant factor."""

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = (), dtype: Any = float) -> jax.Array:
        """Independent draws: an array of this shape and dtype."""
        return jax.random.normal(key, sample_shape, dtype)

    def log_prob(self, inputs: jax.Array) -> jax.Array:
        """-z^2 / 2 of each entry: the log-density without its constant -log(2 pi) / 2."""
        return cast(-0.5 * widen(inputs) ** 2, dtype_of(inputs))


@dataclasses.dataclass(frozen=True)
class Gumbel:
    """The standard Gumbel distribution, of density exp(-z - exp(-z)).

    With it the perturbed argmax of x, as a one-hot vector, has the mean softmax(x / sigma).
    Reference: Gumbel, 1954, Statistical Theory of Extreme Values and Some Practical Applications.
    """

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = (), dtype: Any = float) -> jax.Array:
        """Independent draws: an array of this shape and dtype."""
        return jax.random.gumbel(key, sample_shape, dtype)

    def log_prob(self, inputs: jax.Array) -> jax.Array:
        """-z - exp(-z) of each entry: the log-density."""
        z = widen(inputs)
        return cast(-z - jnp.exp(-z), dtype_of(inputs))
