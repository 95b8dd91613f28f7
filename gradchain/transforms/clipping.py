"""Bounding gradients, one entry at a time or all together."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core.chain import init_empty_state
from ..core.lift import check_updates, leafwise, scaled
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import EmptyState, Numeric, OptState, Params, Updates
from ..tree.norm import norm

ClipState = EmptyState
ClipByGlobalNormState = EmptyState


@transformation
def clip(max_delta: Numeric) -> GradientTransformationExtraArgs:
    """Clips every entry: u = min(max(g, -max_delta), max_delta).

    Args: max_delta, at least 0. Complex numbers are clipped in each part.
    State: `EmptyState`. A NaN stays NaN.
    """

    def update(g: Any, s: EmptyState, p: Any) -> tuple[jax.Array, tuple[()]]:
        del s, p
        if jnp.iscomplexobj(g):
            real, imag = (jnp.clip(x, -max_delta, max_delta) for x in (g.real, g.imag))
            return jax.lax.complex(real, imag), ()
        return jnp.clip(g, -max_delta, max_delta), ()

    return leafwise(EmptyState, lambda p: (), update)


@transformation
def clip_by_global_norm(max_norm: Numeric) -> GradientTransformationExtraArgs:
    """Shrinks all updates together so that their global norm is at most `max_norm`.

    u = g min(1, max_norm / |g|), with |g| the 2-norm over all entries of all leaves, summed in at
    least float32. Directions are kept. A gradient that is not finite stays visibly so: its norm is
    not finite, nothing is scaled, and no entry turns into a different finite one.

    Args: max_norm, at least 0; 0 gives zeros.
    State: `EmptyState`.
    Reference: Pascanu, Mikolov and Bengio, 2012, On the difficulty of training recurrent neural
        networks, arXiv:1211.5063.
    """

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        check_updates("clip_by_global_norm", updates, params)
        size = norm(updates)
        shrink = jnp.logical_and(size > max_norm, jnp.isfinite(size))
        return scaled(updates, jnp.where(shrink, max_norm / jnp.where(shrink, size, 1), 1)), state

    return GradientTransformationExtraArgs(init_empty_state, update)
