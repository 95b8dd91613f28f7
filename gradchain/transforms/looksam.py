"""LookSAM: sharpness-aware minimization that climbs in some steps only."""

from typing import Any

import jax.numpy as jnp

from ..core import (
    NON_NEGATIVE,
    GradientTransformation,
    Leaves,
    cast,
    dtype_of,
    relaxed_promotion,
    transformation,
    widen,
)
from ..core.lists import each
from ..core.numerics import ratio
from ..core.types import Array, Numeric, OptState, Params, ScalarOrSchedule, Updates
from ..tree.norm import norm
from .ascending import Way, ascending
from .ascent import across, ascent, counted, kept


@transformation(rho=NON_NEGATIVE, alpha=NON_NEGATIVE)
def looksam(
    optimizer: GradientTransformation,
    rho: ScalarOrSchedule = 0.1,
    k: int = 5,
    alpha: Numeric = 0.7,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
):
    """One real step in k climbs first; the others use again what the climb has told.

    Then h = g(p + rho g / |g|), p = p - opt(h), and v is the part of h orthogonal to g. In the k - 1 steps
    that follow, p = p - opt(g + alpha |g| v / |v|). So k real steps take k + 1 gradients.

    Args:
        optimizer: makes the real steps.
        rho: the radius, at least 0; a number, or a schedule of the real steps.
        k: at least 1; with 1 it is SAM.
        alpha: how much of v the other steps use, at least 0.
        opaque_mode: True does a real step in each update, which then needs the extra argument
            `grad_fn(params, i) -> gradient`. False takes one gradient per update.
        batch_axis_name: in opaque mode, the mapped axis over which gradients uphill are averaged.

    State: `SAMState(steps_since_sync, opt_state, adv_state, cache)`, where adv_state has g, then v.
    Memory: 2 x the parameters (1 x in opaque mode), and the optimizer's.
    Raises: ValueError for k below 1 or if `update` gets no parameters; TypeError if it gets no `grad_fn`
        in opaque mode.
    Reference: Liu et al., 2022, Towards Efficient and Scalable Sharpness-Aware Minimization,
        arXiv:2203.02714.

    Example:
        >>> tx, p = gc.looksam(gc.sgd(0.5), rho=2.0, k=2), jnp.array([4.0, 1.0])
        >>> state = tx.init(p)
        >>> for _ in range(3):  # uphill; a step by the gradient there; a step that needs no climb
        ...     p, state = tx.step(jnp.array([1.0, 3.0]) * p, state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [5.6, 2.2]
        [1.2, -2.3]
        [2.071, -0.811]
    """
    if k < 1:
        raise ValueError(f"looksam: k must be at least 1, received {k!r}.")

    def settle(g: Updates, adv_state: Any, params: Params, climbed: Any) -> tuple[Updates, OptState]:
        leaves = Leaves("looksam", g, params)

        def used(g: Array, v: Array, factor: Array, like: Array) -> Array:
            return cast(jnp.where(climbed, g, g + factor * v), dtype_of(like))

        with relaxed_promotion():
            gs = each(widen, leaves.gs)
            vs = each(widen, leaves.of("state's gradient", adv_state.gradient))
            factor = alpha * ratio(norm(gs), norm(vs))
            new = each(used, gs, vs, [factor] * len(gs), leaves.gs)
            vs = each(lambda v, old: jnp.where(climbed, v, old), across(gs, vs), vs)
        return leaves.put(new, g), counted(adv_state._replace(gradient=kept(leaves, vs, adv_state)))

    def climbs(adv_state: Any) -> Any:
        return adv_state.count % k == 0

    way = Way("looksam", ascent("looksam", rho, True), 1, settle, climbs)
    return ascending(way, optimizer, opaque_mode, batch_axis_name, [(optimizer, ("opt_state",))])
