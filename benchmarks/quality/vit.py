"""A small vision transformer, in the style of the models of `gradchain compare`."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn


class Attention(nn.Module):
    """What each patch takes from all patches."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch, places, width = x.shape
        seen = nn.Dense(3 * width, use_bias=False, name="qkv")(x).reshape(batch, places, 3, self.heads, -1)
        query, key, value = seen[:, :, 0], seen[:, :, 1], seen[:, :, 2]
        likeness = jnp.einsum("bihd,bjhd->bhij", query, key) / (width / self.heads) ** 0.5
        mixed = jnp.einsum("bhij,bjhd->bihd", nn.softmax(likeness), value).reshape(x.shape)
        return nn.Dense(width, use_bias=False, name="out")(mixed)


class ViT(nn.Module):
    """An encoder of the patches of an image given as a flat row; the head reads their mean."""

    side: int
    patch: int
    width: int
    layers: int
    heads: int
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        n, size = self.side // self.patch, self.patch
        x = x.reshape(-1, n, size, n, size).swapaxes(2, 3).reshape(-1, n * n, size * size)
        x = nn.Dense(self.width, name="patches")(x)
        x += self.param("places", nn.initializers.normal(0.1), (n * n, self.width))[None]
        norm, dense = partial(nn.RMSNorm, use_scale=False), partial(nn.Dense, use_bias=False)
        for _ in range(self.layers):
            x += Attention(self.heads)(norm()(x))
            x += dense(self.width)(nn.relu(dense(2 * self.width)(norm()(x))))
        return nn.Dense(self.outputs, name="head")(norm()(x).mean(1))
