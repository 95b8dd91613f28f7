"""The models, small enough that a hundred of them train side by side on a laptop."""

from collections.abc import Sequence
from functools import partial
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
    """A "SAME" convolution as one product of shifted images.

    Under a `vmap` over kernels, `lax.conv` becomes a grouped convolution. On a CPU that takes five
    times as long as this batched matrix product.
    """
    assert padding == "SAME"
    sides, shape = x.shape[1:3], kernel.shape[:2]
    missing = [
        max((-(-n // step) - 1) * step + k - n, 0) for n, k, step in zip(sides, shape, strides, strict=True)
    ]
    padded = jnp.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)))
    shifts = [
        padded[:, i : i + sides[0] : strides[0], j : j + sides[1] : strides[1]]
        for i in range(shape[0])
        for j in range(shape[1])
    ]
    return jnp.concatenate(shifts, -1) @ kernel.reshape(-1, kernel.shape[-1])


class CNN(nn.Module):
    """Convolutions that halve the image, and a linear layer, on images given as flat rows."""

    side: int
    channels: tuple[int, ...]
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], self.side, self.side, 1)
        for channels in self.channels:
            conv = nn.Conv(channels, (3, 3), (2, 2), conv_general_dilated=shifted_convolution)
            x = nn.relu(conv(x))
        return nn.Dense(self.outputs)(x.reshape(x.shape[0], -1))


class RNN(nn.Module):
    """A gated recurrent unit that reads an image row by row, and a linear layer on its last state.

    Its three gates share one product of matrices, for all rows at once where they read the image.
    """

    rows: int
    hidden: int
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        read = nn.Dense(3 * self.hidden, name="read")(x.reshape(x.shape[0], self.rows, -1))
        remember = nn.Dense(3 * self.hidden, kernel_init=nn.initializers.orthogonal(), name="remember")
        state = jnp.zeros((x.shape[0], self.hidden))
        for row in range(self.rows):
            reset, update, new = jnp.split(read[:, row], 3, -1)
            again, keep, old = jnp.split(remember(state), 3, -1)
            kept = nn.sigmoid(update + keep)
            candidate = jnp.tanh(new + nn.sigmoid(reset + again) * old)
            state = kept * state + (1 - kept) * candidate
        return nn.Dense(self.outputs)(state)


class Attention(nn.Module):
    """What each place takes from itself and the places before it."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch, places, width = x.shape
        seen = nn.Dense(3 * width, use_bias=False)(x).reshape(batch, places, 3, self.heads, -1)
        query, key, value = seen[:, :, 0], seen[:, :, 1], seen[:, :, 2]
        likeness = jnp.einsum("bihd,bjhd->bhij", query, key) / (width / self.heads) ** 0.5
        past = jnp.tril(jnp.ones((places, places), bool))
        weights = nn.softmax(jnp.where(past[None, None], likeness, -1e9))
        mixed = jnp.einsum("bhij,bjhd->bihd", weights, value).reshape(x.shape)
        return nn.Dense(width, use_bias=False)(mixed)


class Transformer(nn.Module):
    """A decoder that predicts at each place of a text the character after it."""

    characters: int
    width: int
    layers: int
    heads: int

    @nn.compact
    def __call__(self, text: jax.Array) -> jax.Array:
        spread = nn.initializers.normal
        embedding = self.param("embedding", spread(1.0), (self.characters, self.width))
        places = self.param("places", spread(0.1), (text.shape[1], self.width))
        x = nn.one_hot(text, self.characters) @ embedding + places[None]
        # Neither scales nor biases: each array that an optimizer updates is compiled anew for it.
        norm, dense = partial(nn.RMSNorm, use_scale=False), partial(nn.Dense, use_bias=False)
        for _ in range(self.layers):
            x += Attention(self.heads)(norm()(x))
            x += dense(self.width)(nn.relu(dense(2 * self.width)(norm()(x))))
        return nn.Dense(self.characters)(norm()(x))
