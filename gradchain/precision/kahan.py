"""Kahan's compensation: what rounding takes from a weight is kept, and given back at the next step."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import GradientTransformation, cast, transformation, widen
from ..core.numerics import zeros_like
from ..core.rounding import spacing
from ..core.types import Array, OptState, Params
from ._weights import Kept, landing


class KahanState(NamedTuple):
    """State of `kahan`."""

    compensation: Params  # like params; what their rounding left; None for a parameter of float32 or more
    inner_state: OptState  # the inner transformation's, of float32 parameters


def _read(p: Array, compensation: Array) -> Array:
    """The sum; the parameter where more is kept than its rounding leaves: it was changed from outside."""
    wide, more = widen(p), widen(compensation)
    return jnp.where(jnp.abs(more) <= spacing(wide, p.dtype) / 2, wide + more, wide)


def _left(weight: Array, p: Array) -> Array:
    more = weight - widen(p)
    return cast(jnp.where(jnp.isfinite(more), more, 0), p.dtype)


@transformation
def kahan(tx: GradientTransformation):
    """Trains parameters in low precision with Kahan's compensation, in the precision of the parameters.

    w = p + c;  w = w + u, with u the step of `tx` for w;  p = w rounded to the nearest;  c = w - p.

        tx = kahan(adamw(1e-3))

    p and c hold twice the digits of p: 16 bits of a bfloat16 weight, 22 of float16. A step of less than
    2**-17 of a bfloat16 weight may be lost. In float16 and float8 c is no less than their smallest number.
    Moments, updates, landing and parameters changed from outside: see `with_master_weights`.

    Args:
        tx: any transformation. Parameters of float32 or more, complex ones and integers step as they do
            without the wrapper.

    State: `KahanState(compensation, inner_state)`. Memory: 1 x the low-precision parameters, and `tx`'s.
    Raises: ValueError without parameters, or if their shapes are not those of `init`.
    Reference: Kahan, 1965, Further remarks on reducing truncation errors; Zamirai et al., 2020,
        Revisiting BFloat16 Training, arXiv:2010.06192.

    Example:
        >>> tx, p = gc.kahan(gc.sgd(1.0)), jnp.array([1.0], jnp.bfloat16)
        >>> state = tx.init(p)
        >>> for _ in range(4):  # alone, steps of 1 / 512 would be lost
        ...     p, state = tx.step(jnp.array([-1 / 512], jnp.bfloat16), state, p)
        >>> print(p.tolist())  # 1 + 4 / 512
        [1.0078125]
    """
    return landing("kahan", tx, KahanState, Kept(zeros_like, _read, _left))
