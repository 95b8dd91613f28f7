"""GSAM: sharpness-aware minimization that also closes the gap to the loss uphill."""

from typing import Any

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
from ..core.types import Numeric, OptState, Params, ScalarOrSchedule, Updates
from .ascending import Way, ascending
from .ascent import across, ascent, counted


@transformation(rho=NON_NEGATIVE, alpha=NON_NEGATIVE)
def gsam(
    optimizer: GradientTransformation,
    rho: ScalarOrSchedule = 0.05,
    alpha: Numeric = 0.4,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
):
    """Steps by the gradient uphill, less a part of the one at the start: p = p - opt(h - alpha g').

    h = g(p + rho g / |g|), and g' is the part of g orthogonal to h: along it the loss uphill stays, and
    the loss at p rises to meet it. Every second update is a real step, the others are ascents.

    Args:
        optimizer: makes the real steps.
        rho: the radius, at least 0; a number, or a schedule of the real steps. In the paper it follows the
            learning rate, see `proportional_schedule`.
        alpha: how much of g' is taken away, at least 0; with 0 it is SAM.
        opaque_mode: True does both in one update, which then needs the extra argument
            `grad_fn(params, i) -> gradient`. False takes one gradient per update.
        batch_axis_name: in opaque mode, the mapped axis over which gradients uphill are averaged.

    State: `SAMState(steps_since_sync, opt_state, adv_state, cache)`, where adv_state has g.
    Memory: 2 x the parameters (1 x in opaque mode), and the optimizer's.
    Raises: ValueError if `update` gets no parameters; TypeError if it gets no `grad_fn` in opaque mode.
    Reference: Zhuang et al., 2022, Surrogate Gap Minimization Improves Sharpness-Aware Training,
        arXiv:2203.08065.

    Example:
        >>> tx, p = gc.gsam(gc.sgd(0.5), rho=2.0), jnp.array([4.0, 1.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # uphill, then a step from [4, 1]
        ...     p, state = tx.step(jnp.array([1.0, 3.0]) * p, state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [5.6, 2.2]
        [1.369, -2.444]
    """

    def settle(g: Updates, adv_state: Any, params: Params, climbed: Any) -> tuple[Updates, OptState]:
        leaves = Leaves("gsam", g, params)
        with relaxed_promotion():
            h = each(widen, leaves.gs)
            start = each(widen, leaves.of("state's gradient", adv_state.gradient))
            new = each(
                lambda x, y, like: cast(x - alpha * y, dtype_of(like)), h, across(start, h), leaves.gs
            )
        return leaves.put(new, g), counted(adv_state)

    way = Way("gsam", ascent("gsam", rho, True), 1, settle)
    return ascending(way, optimizer, opaque_mode, batch_axis_name, [(optimizer, ("opt_state",))])
