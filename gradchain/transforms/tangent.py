"""Steps along the sphere of scale-invariant weights."""

import jax.numpy as jnp

from ..core.numerics import sqrt
from ..core.types import Array, Numeric


def along_sphere(u: Array, g: Array, p: Array, delta: Numeric, eps: Numeric) -> tuple[Array, Array]:
    """A step without its part along the weights, where these seem to be scale-invariant.

    Weights followed by a normalization have gradients orthogonal to them. So if the largest |cos(p, g)|
    over the channels is less than delta / sqrt(entries of a channel), each channel of u loses its part
    along p; else, if |cos(p, g)| of the whole array is less than delta / sqrt(entries), u as a whole does.

    Args: u, the step; g, p, gradient and weights, of two axes or more, the last one counting the channels;
        delta, at least 0; eps, added to norms.
    Returns: the step; whether it was changed, bool[].
    Reference: Heo et al., 2020, arXiv:2006.08217, equation 11.
    """
    axes = tuple(range(p.ndim - 1))
    entries = p.size // max(p.shape[-1], 1)
    by_channel, by_layer = _cosines(p, g, axes, eps), _cosines(p, g, None, eps)
    channels = by_channel.max(initial=0) < delta / max(entries, 1) ** 0.5
    layer = by_layer.max(initial=0) < delta / max(p.size, 1) ** 0.5
    changed = jnp.where(channels, _orthogonal(u, p, axes, eps), _orthogonal(u, p, None, eps))
    return jnp.where(channels | layer, changed, u), channels | layer


def _dot(x: Array, y: Array, axes: tuple[int, ...] | None) -> Array:
    return jnp.sum(jnp.real(jnp.conj(x) * y), axis=axes, keepdims=True)


def _norm(x: Array, axes: tuple[int, ...] | None) -> Array:
    return sqrt(_dot(x, x, axes))


def _cosines(p: Array, g: Array, axes: tuple[int, ...] | None, eps: Numeric) -> Array:
    sizes = jnp.maximum(_norm(p, axes), eps) * jnp.maximum(_norm(g, axes), eps)
    return jnp.abs(_dot(p, g, axes)) / sizes


def _orthogonal(u: Array, p: Array, axes: tuple[int, ...] | None, eps: Numeric) -> Array:
    direction = p / (_norm(p, axes) + eps)
    return u - direction * _dot(direction, u, axes)
