"""Clipping each unit's gradient by the size of the unit's weights."""

import jax.numpy as jnp

from ..core import Trait, init_empty_state, leafwise, transformation
from ..core.numerics import abs_sq, sqrt
from ..core.types import Array, EmptyState, Numeric

AdaptiveGradClipState = EmptyState
Axis = int | tuple[int, ...] | None


def unitwise_norm(x: Array, axis: Axis = None) -> Array:
    """The norm of each output unit of a weight, broadcast to the weight's shape.

    Args:
        x: an array.
        axis: the axes to sum over. None: all axes of a scalar or vector; the first axis of an array
            with two or three dimensions, such as a matrix (in, out); all but the last axis with four
            or five dimensions, such as a convolution (height, width, in, out).

    Raises: ValueError for more than five dimensions without `axis`.
    """
    x = jnp.asarray(x)
    if axis is None:
        effective = sum(size > 1 for size in x.shape)
        if effective <= 1:
            axis = tuple(range(x.ndim))
        elif x.ndim in (2, 3):
            axis = 0
        elif x.ndim in (4, 5):
            axis = tuple(range(x.ndim - 1))
        else:
            raise ValueError(
                f"unitwise_norm: expected at most 5 dimensions, received shape {x.shape}. Say which axes "
                "to sum over with axis=."
            )
    return jnp.broadcast_to(sqrt(jnp.sum(abs_sq(x), axis=axis, keepdims=True)), x.shape)


def unitwise_clip(g_norm: Array, max_norm: Array, grad: Array, div_eps: Numeric = 1e-6) -> Array:
    """`grad`, scaled down to norm `max_norm` where `g_norm` is at least `max_norm`.

    Args: three arrays of one shape (norms as `unitwise_norm` gives them); div_eps, the smallest divisor.
    Raises: ValueError for unequal shapes.
    """
    shapes = [jnp.shape(x) for x in (g_norm, max_norm, grad)]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"unitwise_clip: g_norm, max_norm and grad must have one shape, received {shapes}."
        )
    return grad * jnp.where(g_norm < max_norm, 1, max_norm / jnp.maximum(g_norm, div_eps))


@transformation
def adaptive_grad_clip(clipping: Numeric, eps: Numeric = 1e-3, axis: Axis = None):
    """Clips each unit's gradient to a fraction of the unit's weights.

    |g_i| becomes at most clipping max(|p_i|, eps), with norms over each output unit i.

    Args:
        clipping: the largest ratio of norms, at least 0.
        eps: lower bound of the weight norm, so that units at zero can move; at least 0.
        axis: axes over which a unit's norm sums, see `unitwise_norm`.

    State: `EmptyState`.
    Raises: ValueError if `update` gets no parameters, or a leaf has more than five dimensions.
    Reference: Brock, De, Smith and Simonyan, 2021, High-Performance Large-Scale Image Recognition
        Without Normalization, arXiv:2102.06171.

    Example:
        >>> tx, p = gc.adaptive_grad_clip(0.5), jnp.array([3.0, 4.0])
        >>> u, state = tx.update(jnp.array([6.0, 8.0]), tx.init(p), p)
        >>> [round(x, 3) for x in u.tolist()]  # half of |p| = 5
        [1.5, 2.0]
    """

    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        max_norm = clipping * jnp.maximum(unitwise_norm(p, axis), eps)
        return unitwise_clip(unitwise_norm(g, axis), max_norm, g), s

    return leafwise(init_empty_state, update, needs_params=True, traits=[Trait.CLIPS])
