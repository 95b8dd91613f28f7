"""Clipping of gradients, by entry or by their global norm."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    Trait,
    accumulator_dtype,
    dtype_of,
    init_empty_state,
    leafwise,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.norms import root_and_scale
from ..core.types import Array, DTypeLike, EmptyState, Numeric, OptState, Params, Updates
from ..tree.norm import norm

ClipState = EmptyState
ClipByGlobalNormState = EmptyState


@transformation
def clip(max_delta: Numeric):
    """Clips every entry: u = min(max(g, -max_delta), max_delta).

    Args: max_delta, at least 0. Complex numbers are clipped in each part.
    State: `EmptyState`. A NaN stays NaN.

    Example:
        >>> tx, g = gc.clip(1.0), jnp.array([0.5, -3.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.tolist()
        [0.5, -1.0]
    """

    def update(g: Array, s: EmptyState, p: Array | None) -> tuple[Array, EmptyState]:
        if jnp.iscomplexobj(g):
            real, imag = (jnp.clip(x, -max_delta, max_delta) for x in (g.real, g.imag))
            return jax.lax.complex(real, imag), s
        return jnp.clip(g, -max_delta, max_delta), s

    return leafwise(init_empty_state, update, traits=[Trait.CLIPS])


class GlobalNormState(NamedTuple):
    """State of `with_global_norm`."""

    global_norm: Array  # f32[]  norm of the last gradient, before `inner` changed it
    inner_state: OptState  # the inner transformation's

    @property
    def measured(self) -> dict[str, Array]:
        """What `measurements` finds here."""
        return {"global_norm": self.global_norm}


@transformation
def with_global_norm(inner: GradientTransformation):
    """Computes the global norm of the gradient once, for all transformations inside.

    `clip_by_global_norm` and `measure_norm` inside `inner` use this norm. In a `partition`, every
    group then uses the norm over all parameters.

    Args: inner, any transformation; it gets the norm as the extra argument `global_norm`.
    State: `GlobalNormState(global_norm, inner_state)`; `global_norm` is the norm before clipping.

    Example:
        >>> norm = gc.monitor({"norm": gc.measure_norm()})
        >>> tx, g = gc.with_global_norm(gc.chain(gc.clip_by_global_norm(1.0), norm)), jnp.array([3.0, 4.0])
        >>> u, state = tx.update(g, tx.init(g), g)
        >>> [round(x, 3) for x in u.tolist()], float(gc.measurements(state)["norm"])  # 5 before clipping
        ([0.6, 0.8], 5.0)
    """
    tx = with_extra_args_support(inner)

    def init(params: Params) -> GlobalNormState:
        return GlobalNormState(jnp.zeros([], _norm_dtype(params)), tx.init(params))

    def run(
        whole: bool, updates: Updates, state: GlobalNormState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, GlobalNormState]:
        size = norm(updates)
        given = extra_args | {"global_norm": size}
        result, inner_state = tx.run(whole, updates, state.inner_state, params, **given)
        return result, GlobalNormState(size.astype(state.global_norm.dtype), inner_state)

    return wrapper(init, run, inside=[(inner, ("inner_state",))])


@transformation
def clip_by_global_norm(max_norm: Numeric):
    """Shrinks all updates together so that their global norm is at most `max_norm`.

    u = g min(1, max_norm / |g|), with |g| the 2-norm over all entries of all leaves, summed in at
    least float32 without overflow. The direction is kept. A gradient with a NaN or an infinity passes
    unchanged.

    Args: max_norm, at least 0; 0 gives zeros.
    State: `EmptyState`. Inside `with_global_norm`, |g| is the norm that the wrapper computed.
    Reference: Pascanu, Mikolov and Bengio, 2012, On the difficulty of training recurrent neural
        networks, arXiv:1211.5063.

    Example:
        >>> tx, g = gc.clip_by_global_norm(1.0), jnp.array([3.0, -4.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> [round(x, 3) for x in u.tolist()]  # the direction stays
        [0.6, -0.8]
    """

    def measure(gs: list[Array], extra_args: dict[str, Any]) -> tuple[Numeric, Numeric]:
        size, scale = extra_args.get("global_norm"), 1.0
        if size is None:
            size, scale = root_and_scale(gs)
        shrink = jnp.logical_and(size > max_norm * scale, jnp.isfinite(size))
        factor = jnp.where(shrink, max_norm / jnp.where(shrink, size, 1), 1)
        return jnp.where(shrink, scale, 1), factor

    def update(
        g: Array, s: EmptyState, p: Array | None, factors: tuple[Numeric, Numeric]
    ) -> tuple[Array, EmptyState]:
        scale, factor = factors
        return g * scale * factor, s  # scale * factor could underflow

    return leafwise(init_empty_state, update, measure=measure, traits=[Trait.CLIPS])


def _norm_dtype(params: Params) -> DTypeLike:
    """The dtype of the norm of a tree like `params`."""
    dtypes = [accumulator_dtype(dtype_of(p)) for p in jax.tree.leaves(params)]
    return max(dtypes, key=lambda d: d.itemsize, default=jnp.float32)
