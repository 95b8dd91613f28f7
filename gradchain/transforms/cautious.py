"""Steps only where they agree with the gradient."""

from typing import Any

import jax.numpy as jnp

from ..core import (
    CLOSED_UNIT,
    GradientTransformation,
    GradientTransformationExtraArgs,
    Leaves,
    cast,
    dtype_of,
    relaxed_promotion,
    transformation,
    widen,
    with_extra_args_support,
)
from ..core.lists import each
from ..core.types import Array, Numeric, OptState, Params, Updates


@transformation(min_share=CLOSED_UNIT)
def cautious(inner: GradientTransformation, min_share: Numeric = 1e-3):
    """Leaves out the entries of an optimizer's step that would go uphill, and makes the others longer.

    With k = 1 where u g < 0, else 0: u = k u / max(mean of k, min_share), array by array. Where momentum
    has been overtaken by the gradient it does not act.

    Args:
        inner: an optimizer, whose updates go downhill; the sign of a learning rate is in them. Its weight
            decay is a part of its step; to decay all entries, put `add_decayed_weights` outside.
        min_share: bounds the factor, in [0, 1]; at 1 nothing is made longer.

    Complex numbers: k = 1 where the real part of conj(u) g is negative.
    State: that of `inner`.
    Reference: Liang et al., 2024, Cautious Optimizers: Improving Training with One Line of Code,
        arXiv:2411.16085.

    Example:
        >>> tx, p = gc.cautious(gc.sgd(0.5, momentum=0.5)), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([2.0, 2.0], [-0.5, 2.0]):  # then momentum would carry the first entry uphill
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print(p.tolist())  # it stays, and the other's step is twice as long
        [-1.0, -1.0]
        [-1.0, -4.0]
    """
    tx = with_extra_args_support(inner)

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        steps, state = tx.update(updates, state, params, **extra_args)
        leaves = Leaves("cautious", updates, params)

        def agreeing(g: Array, u: Array) -> Array:
            keep = jnp.real(jnp.conj(widen(u)) * widen(g)) < 0
            share = jnp.maximum(jnp.mean(keep.astype(jnp.float32)), min_share) if keep.size else 1.0
            factor = jnp.where(keep, 1 / jnp.where(share > 0, share, 1), 0)
            return cast(factor * widen(u), dtype_of(u))

        with relaxed_promotion():
            kept = each(agreeing, leaves.gs, leaves.of("step of the optimizer", steps))
        return leaves.put(kept, steps), state

    return GradientTransformationExtraArgs(tx.init, update, inside=[(inner, ())])
