"""The models, small enough that a hundred of them train side by side on a laptop."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


class Linear(nn.Module):
    """One matrix and one bias. With a single output, its axis is dropped."""

    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        # Zeros, so that words which never occur in training do not change the predictions.
        y = nn.Dense(self.outputs, kernel_init=nn.initializers.zeros)(x)
        return y[..., 0] if self.outputs == 1 else y


class MLP(nn.Module):
    """One hidden layer."""

    hidden: int
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(self.outputs)(nn.relu(nn.Dense(self.hidden)(x)))


def shifted_convolution(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **unused: Any
) -> jax.Array:
    """A stride-1 "SAME" convolution with an odd kernel, as one product of shifted images.

    Under a `vmap` over kernels, `lax.conv` becomes a grouped convolution. On a CPU that takes five
    times as long as this batched matrix product.
    """
    assert tuple(strides) == (1, 1)
    assert padding == "SAME"
    height, width = x.shape[1:3]
    rows, columns = kernel.shape[:2]
    top, left = rows // 2, columns // 2
    padded = jnp.pad(x, ((0, 0), (top, top), (left, left), (0, 0)))
    shifts = [padded[:, i : i + height, j : j + width] for i in range(rows) for j in range(columns)]
    return jnp.concatenate(shifts, -1) @ kernel.reshape(-1, kernel.shape[-1])


def halved(x: jax.Array) -> jax.Array:
    """The means of 2 x 2 pixels, as a reshape, which is fast under `vmap` as well."""
    count, height, width, channels = x.shape
    return x.reshape(count, height // 2, 2, width // 2, 2, channels).mean((2, 4))


class CNN(nn.Module):
    """Two convolutions with pooling, and a linear layer, on images given as flat rows."""

    side: int
    channels: tuple[int, ...]
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], self.side, self.side, 1)
        for channels in self.channels:
            conv = nn.Conv(channels, (3, 3), conv_general_dilated=shifted_convolution)
            x = halved(nn.relu(conv(x)))
        return nn.Dense(self.outputs)(x.reshape(x.shape[0], -1))


class RNN(nn.Module):
    """A gated recurrent unit that reads an image row by row, and a linear layer on its last state."""

    rows: int
    hidden: int
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], self.rows, -1)
        states = jnp.asarray(nn.RNN(nn.GRUCell(self.hidden))(x))
        return nn.Dense(self.outputs)(states[:, -1])
