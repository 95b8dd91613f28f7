"""Weights split in two: the parameter, and a small integer that tells how far from it the weight is."""

import functools
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from ..core import GradientTransformation, transformation, widen
from ..core.numerics import zeros_like
from ..core.rounding import spacing
from ..core.types import Array, DTypeLike, OptState, Params
from ._weights import Kept, landing

CORRECTIONS: dict[int, Any] = {24: jnp.int8, 32: jnp.int16}
"""By the bits of a bfloat16 weight in all: the integer kept beside it."""


class SplitWeightsState(NamedTuple):
    """State of `with_split_weights`."""

    correction: Params  # i8 or i16, like params; 0 is the parameter itself; None for one of float32 or more
    inner_state: OptState  # the inner transformation's, of float32 parameters


def _unit(p: Array, correction: DTypeLike) -> Array:
    """What a correction of 1 adds to `p`: a power of two, so that nothing is rounded in reading it."""
    step = spacing(widen(p), p.dtype) * jnp.float32(2.0 ** -jnp.iinfo(correction).bits)
    return jnp.maximum(step, jnp.finfo(jnp.float32).tiny)  # XLA takes smaller ones for 0


def _read(p: Array, correction: Array) -> Array:
    weight = widen(p) + correction.astype(jnp.float32) * _unit(p, correction.dtype)
    return jnp.where(jnp.isfinite(widen(p)), weight, widen(p))


def _left(correction: DTypeLike, weight: Array, p: Array) -> Array:
    least, most = (jnp.float32(x) for x in (jnp.iinfo(correction).min, jnp.iinfo(correction).max))
    units = jnp.round((weight - widen(p)) / _unit(p, correction))  # half a spacing is one beyond the most
    return jnp.where(jnp.isfinite(units), jnp.clip(units, least, most), 0).astype(correction)


@transformation
def with_split_weights(tx: GradientTransformation, bits: Literal[24, 32] = 24):
    """Trains parameters in low precision, each with a small integer that completes it.

    w = p + c s / 2^b, with s the distance of p to its neighbour and c an integer of b bits, 8 or 16;
    w = w + u, with u the step of `tx` for w;  p = w rounded to the nearest;  c = (w - p) 2^b / s, rounded.

        tx = with_split_weights(adamw(1e-3))

    With 24 bits a bfloat16 weight has 16 digits in 3 bytes: it is kept to 2**-16 of itself, in the middle
    between two neighbours to 2**-15, and smaller steps may be lost. With 32 bits it is the float32 weight,
    to 2**-23 of it.
    The authors divide by 127 where 2^7 stands here: a power of two needs no rounding to be read.
    Moments, updates and landing: see `with_master_weights`. A parameter that is changed from outside keeps
    its correction, half a spacing at most.

    Args:
        tx: any transformation. Parameters of float32 or more, complex ones and integers step as they do
            without the wrapper.
        bits: of a bfloat16 weight in all, 24 or 32: the correction is int8 or int16.

    State: `SplitWeightsState(correction, inner_state)`. Memory: 1 or 2 bytes for each low-precision
        number, and `tx`'s.
    Raises: ValueError for other bits, without parameters, or if their shapes are not those of `init`.
    Reference: Gonzalez Ortiz et al., 2026, FlashOptim: Optimizers for Memory Efficient Training,
        arXiv:2602.23349.

    Example:
        >>> tx, p = gc.with_split_weights(gc.sgd(1.0)), jnp.array([1.0], jnp.bfloat16)
        >>> state = tx.init(p)
        >>> for _ in range(4):  # alone, steps of 1 / 512 would be lost
        ...     p, state = tx.step(jnp.array([-1 / 512], jnp.bfloat16), state, p)
        >>> print(p.tolist(), [x.dtype.name for x in jax.tree.leaves(state) if x.ndim])
        [1.0078125] ['int8']
    """
    if bits not in CORRECTIONS:
        raise ValueError(f"with_split_weights: bits must be 24 or 32, received {bits!r}.")
    return landing("with_split_weights", tx, SplitWeightsState, _KEPT[bits])


def _first(correction: DTypeLike, p: Any) -> Array:
    return zeros_like(p, correction)


_KEPT = {
    bits: Kept(functools.partial(_first, dtype), _read, functools.partial(_left, dtype))
    for bits, dtype in CORRECTIONS.items()
}
