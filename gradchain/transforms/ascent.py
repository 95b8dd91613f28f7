"""The ascent of SAM's relatives: a step of a given length uphill, which may remember the gradient."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    Leaves,
    cast,
    dtype_of,
    dtype_of_step,
    relaxed_promotion,
    widen,
)
from ..core.lists import dot, each, sum_sq
from ..core.numerics import ratio, safe_increment, zeros_like
from ..core.types import Array, Count, MaskOrFn, Numeric, Params, ScalarOrSchedule, Updates
from ..tree.norm import norm
from .choices import choices


class AscentState(NamedTuple):
    """What SAM's relatives keep of their ascents."""

    count: Count  # i32[]  real steps taken
    gradient: Params | None  # like params; of the start, or what is left of it; None if not in use


def ascent(
    name: str, rho: ScalarOrSchedule, remember: bool, eta: Numeric | None = None, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """Minus an ascent by rho g / |g|; with `eta` by rho t^2 g / |t g|.

    Args:
        name: for errors.
        rho: the length, a number or a schedule of the real steps.
        remember: whether the gradient is kept.
        eta: t = |p| + eta where the mask is True, else 1.
    """

    def init(params: Params) -> AscentState:
        gradient = jax.tree.map(zeros_like, params) if remember else None
        return AscentState(jnp.zeros([], jnp.int32), gradient)

    def update(
        updates: Updates, state: AscentState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, AscentState]:
        leaves = Leaves(name, updates, params)
        with relaxed_promotion():
            length = rho(state.count) if callable(rho) else rho
            g = each(widen, leaves.gs)
            if eta is not None:
                every = leaves.all_of("mask", choices(name, "mask", mask, params, False))
                keep = [bool(every[i]) for i in leaves.present]
                t = [jnp.abs(widen(p)) + eta if k else 1.0 for k, p in zip(keep, leaves.ps, strict=True)]
                stretched = [x * y for x, y in zip(t, g, strict=True)]
                factor = ratio(length, norm(stretched))
                up = [factor * x * y for x, y in zip(t, stretched, strict=True)]
            else:
                factor = ratio(length, norm(g))
                up = [factor * x for x in g]
            us = each(lambda g, p, e: cast(-e, dtype_of_step(g, p)), leaves.gs, leaves.ps, up)
        if remember:
            state = state._replace(gradient=kept(leaves, leaves.gs, state))
        return leaves.put(us, updates), state

    return GradientTransformationExtraArgs(init, update)


def kept(leaves: Leaves, new: Sequence[Array], state: AscentState) -> Params:
    """The gradients of a state with those of these leaves replaced, in their dtypes."""
    olds = leaves.of("state's gradient", state.gradient)
    return leaves.put(each(lambda x, old: cast(x, dtype_of(old)), new, olds), state.gradient)


def across(x: Sequence[Array], y: Sequence[Array]) -> list[Array]:
    """The part of `x` orthogonal to `y`, as vectors of all entries."""
    share = ratio(dot(y, x), sum_sq(y))
    return each(lambda a, b: a - share * b, x, y)


def counted(state: AscentState) -> AscentState:
    """The state after one more real step."""
    return state._replace(count=safe_increment(state.count))
