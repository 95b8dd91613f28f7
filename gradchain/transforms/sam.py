"""Sharpness-aware minimization: steps by the gradient at a point slightly uphill."""

from typing import Any

from ..core import (
    GradientTransformation,
    init_empty_state,
    leafwise,
    transformation,
    with_extra_args_support,
)
from ..core.numerics import ratio
from ..core.types import Array, EmptyState, OptState, Params, Updates
from ..tree.norm import norm
from .ascending import Way, ascending

NormalizeState = EmptyState


@transformation
def normalize():
    """Divides all updates by their global norm: u = g / |g|, and 0 where |g| = 0.

    |g| is the 2-norm over all entries of all leaves, summed in at least float32.

    State: `NormalizeState`, which is `EmptyState`. Memory: none.

    Example:
        >>> tx, g = gc.normalize(), jnp.array([3.0, 4.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> [round(x, 3) for x in u.tolist()]
        [0.6, 0.8]
    """

    def measure(gs: list[Array], extra_args: dict[str, Any]) -> Array:
        return ratio(1.0, norm(gs))

    def update(g: Array, s: EmptyState, p: Array | None, factor: Array) -> tuple[Array, EmptyState]:
        return g * factor, s

    return leafwise(init_empty_state, update, measure=measure)


@transformation
def sam(
    optimizer: GradientTransformation,
    adv_optimizer: GradientTransformation,
    sync_period: int = 2,
    reset_state: bool = True,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
):
    """Seeks flat minima: takes ascent steps, then a step from the start by the gradient found there.

    With `normalize()` before `sgd(rho)` as the adversary this is SAM: p = p - opt(g(p + rho g / |g|)).

    Args:
        optimizer: makes the real steps.
        adv_optimizer: makes the ascent steps, by minus its updates, e.g. `chain(normalize(), sgd(rho))`.
        sync_period: one of this many updates is a real step, the others are ascents; at least 1, in the
            paper 2.
        reset_state: True gives the adversary a fresh state after each real step.
        opaque_mode: True does a whole period in one update, which then needs the extra argument
            `grad_fn(params, i) -> gradient` for the i-th point. False takes one gradient per update.
        batch_axis_name: in opaque mode, the mapped axis over which gradients are averaged.

    State: `SAMState(steps_since_sync, opt_state, adv_state, cache)`.
    Memory: 1 x the parameters (none in opaque mode), and both optimizers'.
    Raises: ValueError for a period below 1 or if `update` gets no parameters; TypeError if it gets no
        `grad_fn` in opaque mode.
    Reference: Foret et al., 2020, Sharpness-Aware Minimization for Efficiently Improving
        Generalization, arXiv:2010.01412.

    Example:
        >>> tx = gc.sam(gc.sgd(0.5), gc.chain(gc.normalize(), gc.sgd(1.0)))
        >>> p = jnp.array([3.0, 4.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # uphill by 1, then a step from [3, 4] by the gradient found there
        ...     p, state = tx.step(p, state, p)  # the gradient of |p|^2 / 2
        ...     print([round(x, 3) for x in p.tolist()])
        [3.6, 4.8]
        [1.2, 1.6]
    """
    if sync_period < 1:
        raise ValueError(f"sam: sync_period must be at least 1, received {sync_period!r}.")
    adversary = with_extra_args_support(adv_optimizer)

    def settle(g: Updates, adv_state: OptState, params: Params, climbed: Any) -> tuple[Updates, OptState]:
        return g, adversary.init(params) if reset_state else adv_state

    inside = [(optimizer, ("opt_state",)), (adv_optimizer, ("adv_state",))]
    way = Way("sam", adversary, sync_period - 1, settle)
    return ascending(way, optimizer, opaque_mode, batch_axis_name, inside)
