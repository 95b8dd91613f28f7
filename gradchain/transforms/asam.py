"""ASAM: sharpness-aware minimization that does not see the scale of weights."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import NON_NEGATIVE, GradientTransformation, transformation
from ..core.types import MaskOrFn, Numeric, OptState, Params, PyTree, ScalarOrSchedule, Updates
from .ascending import Way, ascending
from .ascent import ascent, counted


@transformation(rho=NON_NEGATIVE, eta=NON_NEGATIVE)
def asam(
    optimizer: GradientTransformation,
    rho: ScalarOrSchedule = 0.5,
    eta: Numeric = 0.01,
    mask: MaskOrFn = None,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
):
    """Steps by the gradient uphill, where large weights are moved far: p = p - opt(g(p + e)).

    e = rho t^2 g / |t g|, with t = |p| + eta for weights and t = 1 for other parameters. Every second
    update is a real step, the others are ascents.

    Args:
        optimizer: makes the real steps.
        rho: the radius, at least 0; a number, or a schedule of the real steps.
        eta: what zeros have in place of their size, at least 0.
        mask: which parameters are weights: a tree of booleans, a function from the parameters to one, or a
            dict of patterns of names; by default those with two axes or more.
        opaque_mode: True does both in one update, which then needs the extra argument
            `grad_fn(params, i) -> gradient`. False takes one gradient per update.
        batch_axis_name: in opaque mode, the mapped axis over which gradients are averaged.

    State: `SAMState(steps_since_sync, opt_state, adv_state, cache)`, where adv_state counts real steps.
    Memory: 1 x the parameters (none in opaque mode), and the optimizer's.
    Raises: ValueError if `update` gets no parameters; TypeError if it gets no `grad_fn` in opaque mode.
    Reference: Kwon et al., 2021, ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning
        of Deep Neural Networks, arXiv:2102.11600.

    Example:
        >>> tx, p = gc.asam(gc.sgd(0.25), rho=1.0, eta=0.0), jnp.array([[3.0, 1.0]])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # uphill, most where weights are large; then a step from [3, 1]
        ...     p, state = tx.step(p, state, p)  # the gradient of |p|^2 / 2
        ...     print([round(x, 3) for x in p[0].tolist()])
        [5.982, 1.11]
        [1.505, 0.722]
    """

    def settle(g: Updates, adv_state: Any, params: Params, climbed: Any) -> tuple[Updates, OptState]:
        return g, counted(adv_state)

    adversary = ascent("asam", rho, False, eta, _matrices if mask is None else mask)
    inside = [(optimizer, ("opt_state",))]
    return ascending(Way("asam", adversary, 1, settle), optimizer, opaque_mode, batch_axis_name, inside)


def _matrices(params: Params) -> PyTree:
    return jax.tree.map(lambda p: jnp.ndim(p) >= 2, params)
