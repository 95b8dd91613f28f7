"""Bounds on parameters, and updates without NaNs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    init_empty_state,
    is_absent,
    is_none,
    leafwise,
    transformation,
)
from ..core.types import Array, EmptyState, Params, PyTree, Updates

NonNegativeParamsState = EmptyState


class ZeroNansState(NamedTuple):
    """State of `zero_nans`."""

    found_nan: PyTree  # like params, bool[] each; whether the last gradient of the leaf had a NaN


@transformation
def keep_params_nonnegative():
    """Keeps parameters at or above zero: u = max(u, -p), so that p + u >= 0.

    State: `EmptyState`. Where p + u would be negative, the parameter becomes exactly zero.
    Raises: ValueError if `update` gets no parameters.

    Example:
        >>> tx, p = gc.keep_params_nonnegative(), jnp.array([1.0, 1.0])
        >>> u, state = tx.update(jnp.array([-3.0, -0.5]), tx.init(p), p)
        >>> u.tolist()  # p + u is [0, 0.5]
        [-1.0, -0.5]
    """

    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        return jnp.where(p + g < 0, -p, g), s

    return leafwise(init_empty_state, update, needs_params=True)


@transformation
def zero_nans():
    """Replaces NaNs in the updates by zeros; infinities stay.

    State: `ZeroNansState(found_nan)`: which leaves had a NaN in the last gradient.

    Example:
        >>> tx, g = gc.zero_nans(), jnp.array([jnp.nan, 1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.tolist()
        [0.0, 1.0]
    """

    def init(params: Params) -> ZeroNansState:
        return ZeroNansState(jax.tree.map(lambda p: jnp.array(False), params))

    def update(
        updates: Updates, state: ZeroNansState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ZeroNansState]:

        def found(g: Array, before: Array) -> Array:
            return before if is_absent(g) else jnp.any(jnp.isnan(g))

        def mend(g: Array) -> Array:
            return g if is_absent(g) else jnp.where(jnp.isnan(g), jnp.zeros_like(g), g)

        nans = jax.tree.map(found, updates, state.found_nan, is_leaf=is_none)
        return jax.tree.map(mend, updates, is_leaf=is_none), ZeroNansState(nans)

    return GradientTransformationExtraArgs(init, update)
