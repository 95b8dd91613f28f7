"""A float32 copy of each weight beside its parameter in low precision."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import GradientTransformation, transformation, widen
from ..core.numerics import copy_of
from ..core.rounding import rounded
from ..core.types import Array, OptState, Params
from ._weights import Kept, landing


class MasterWeightsState(NamedTuple):
    """State of `with_master_weights`."""

    master: Params  # f32, like params; the weights; None for a parameter of float32 or more
    inner_state: OptState  # the inner transformation's, of float32 parameters


def _copy(p: Array) -> Array:
    return copy_of(p, jnp.float32)


def _read(p: Array, master: Array) -> Array:
    """The copy; the parameter where it is not the copy's nearest: it was changed from outside."""
    return jnp.where(rounded(master, p.dtype) == widen(p), master, widen(p))


def _left(weight: Array, p: Array) -> Array:
    return jnp.where(rounded(weight, p.dtype) == widen(p), weight, widen(p))


@transformation
def with_master_weights(tx: GradientTransformation):
    """Trains parameters in low precision by a float32 copy of each: the master weights.

    m = m + u, with u the step of `tx` for m;  p = m rounded to the nearest.

        tx = with_master_weights(adamw(1e-3))

    Alone, a bfloat16 parameter is lost to steps of less than 1/512 of it. `tx` sees float32 weights and
    gradients, so its moments are float32 unless `mu_dtype` or the like asks otherwise. Put `chain` inside:
    a link after it would spoil the landing.

    Updates of low-precision parameters are float32, the difference of two parameters: `apply_updates` and
    `tx.step` give the same bits. Only a weight that becomes less than 2**-16 of itself in one step (2**-13
    in float16), and not 0, lands beside its aim, by at most 2**-23 of what it was. Optax's `apply_updates`
    has no float8. A parameter that is changed from outside (loading, a projection) is followed: its copy
    begins anew.

    Args:
        tx: any transformation. Parameters of float32 or more, complex ones and integers step as they do
            without the wrapper.

    State: `MasterWeightsState(master, inner_state)`. Memory: 4 bytes for each low-precision number,
        and `tx`'s.
    Raises: ValueError without parameters, or if their shapes are not those of `init`.
    Reference: Micikevicius et al., 2018, Mixed Precision Training, arXiv:1710.03740.

    Example:
        >>> tx, p = gc.with_master_weights(gc.sgd(1.0)), jnp.array([1.0], jnp.bfloat16)
        >>> state = tx.init(p)
        >>> for _ in range(4):  # alone, steps of 1 / 512 would be lost
        ...     p, state = tx.step(jnp.array([-1 / 512], jnp.bfloat16), state, p)
        >>> print(p.tolist())  # 1 + 4 / 512
        [1.0078125]
    """
    return landing("with_master_weights", tx, MasterWeightsState, Kept(_copy, _read, _left))
