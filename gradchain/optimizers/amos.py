"""Amos: learning rates and weight decay that follow from the scale that parameters should have."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp

from ..core import NON_NEGATIVE, UNIT, Trait, chain, is_none, transformation, treewise
from ..core.lists import each_with
from ..core.numerics import abs_sq, accumulator_like, debias, ema, sqrt
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Params,
    PyTree,
    ScalarOrSchedule,
)
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decoupled
from ..transforms.mean_blocks import MeanBlocksOrFn, block_views, values_for
from ..transforms.momentum import ema as moving_average

EtaOrFn = Union[float, Params, Callable[[Params], Params], None]
SMALLEST = 2.0**-125
"""Mean squares up to this are no gradient."""


class ScaleByAmosState(NamedTuple):
    """State of `scale_by_amos`."""

    count: Count  # i32[]  steps taken
    nu: Params  # a number for each block, at least float32, or nu_dtype; average of squared gradients
    b: Params  # like nu; how far learning rate and decay have come down


@transformation(learning_rate=NON_NEGATIVE, beta=UNIT, zeta=NON_NEGATIVE)
def scale_by_amos(
    learning_rate: Hyperparameter,
    eta: EtaOrFn = None,
    blocks: MeanBlocksOrFn = None,
    beta: Hyperparameter = 0.999,
    zeta: Hyperparameter = 0.25,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's scaling without momentum, with a learning rate and a decay that fall by themselves.

    v = beta v + (1 - beta) mean |g|^2;  r = mean |g|^2 / v', v' debiased;
    c = 1 / sqrt(1 + zeta sqrt(xi) b);  d = 1 / (1 + zeta sqrt(xi eta) b);
    u = d (eta g / sqrt(v') + c xi r p / 2);  b = b + xi^2 c r (1 + b).

    xi is the learning rate, by which u is multiplied later.

    Args:
        learning_rate: xi, at least 0.
        eta: the size that entries of a parameter should have: a number for all, a tree of them (or a prefix
            of one), or a function from the parameters to one. None: 1 / sqrt(inputs) for arrays of two
            axes or more, of which the last has the outputs, and 1/2 for others.
        blocks: which entries share one v and one b: see `scale_by_adam_mini`; None for none.
        beta: decay of v, in [0, 1); 1 - beta should be about the learning rate.
        zeta: how fast rates fall, at least 0.
        nu_dtype: dtype of v and b, by default real and at least float32.

    State: `ScaleByAmosState(count, nu, b)`. Memory: 2 numbers for each block.
    Raises: ValueError if `update` gets no parameters.
    Reference: Tian and Parikh, 2022, arXiv:2210.11693.

    Example:
        >>> tx, p = gc.scale_by_amos(0.25, eta=0.5), jnp.array([0.0, 8.0])
        >>> u, state = tx.update(jnp.array([3.0, -1.0]), tx.init(p), p)
        >>> [round(x, 3) for x in u.tolist()]  # eta times the sign, plus 0.25 p / 2
        [0.5, 0.5]
    """
    views = block_views("scale_by_amos", blocks)
    one_number = isinstance(eta, (int, float)) or hasattr(eta, "dtype")

    def plans(tree: PyTree) -> PyTree:
        leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
        if eta is None:
            etas = [None if x is None else _default_eta(jnp.shape(x)) for x in leaves]
        elif not one_number:
            etas = values_for("scale_by_amos", "eta", eta(tree) if callable(eta) else eta, tree)
        else:
            etas = [None] * len(leaves)  # it may be traced, and settings are static
        seen = treedef.flatten_up_to(views(tree))
        return treedef.unflatten(
            [None if view is None else (view, e) for view, e in zip(seen, etas, strict=True)]
        )

    def init(ps: list[Array], *, settings: Sequence[Any]) -> ScaleByAmosState:
        def zeros() -> list[Array]:
            pairs = zip(settings, ps, strict=True)
            return [view.sum(accumulator_like(p, nu_dtype)) for (view, _), p in pairs]

        return ScaleByAmosState(count=0, nu=zeros(), b=zeros())

    def update(
        g: list[Array], s: ScaleByAmosState, p: list[Array], *, settings: Sequence[Any]
    ) -> tuple[list[Array], ScaleByAmosState]:
        def leaf(setting: Any, g: Array, nu: Array, b: Array, p: Array) -> tuple[Array, Array, Array]:
            view, own_eta = setting
            target = eta if one_number else own_eta
            square = view.mean(abs_sq(g))
            nu = ema(square, nu, beta)
            seen = nu > SMALLEST
            v = jnp.where(seen, debias(nu, beta, s.count), 1)
            share = jnp.where(seen, square / v, 0) / sqrt(1 + zeta * sqrt(jnp.asarray(learning_rate)) * b)
            factor = 1 / (1 + zeta * sqrt(jnp.asarray(learning_rate * target)) * b)
            rate = jnp.where(seen, factor * target / sqrt(v), 0)
            u = view.spread(rate) * g + view.spread(factor * learning_rate * share / 2) * p
            return u, nu, b + learning_rate**2 * share * (1 + b)

        rows = each_with(leaf, settings, g, s.nu, s.b, p)
        return [row[0] for row in rows], s._replace(nu=[r[1] for r in rows], b=[r[2] for r in rows])

    return treewise(init, update, like_params=False, settings=plans, traits=[Trait.RESCALES])


def _default_eta(shape: tuple[int, ...]) -> float:
    return 0.5 if len(shape) < 2 else max(math.prod(shape[:-1]), 1) ** -0.5


@transformation(learning_rate=NON_NEGATIVE, beta=UNIT, zeta=NON_NEGATIVE)
def amos(
    learning_rate: ScalarOrSchedule,
    eta: EtaOrFn = None,
    blocks: MeanBlocksOrFn = None,
    beta: ScalarOrSchedule = 0.999,
    zeta: ScalarOrSchedule = 0.25,
    momentum: ScalarOrSchedule | None = None,
    accumulator_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Amos: p = p - learning_rate d (eta g / sqrt(v') + c learning_rate |g|^2 / v' p / 2).

    c and d fall from 1 by themselves: no schedule but a warmup is needed. See `scale_by_amos`.

    Args:
        learning_rate: about 1 / sqrt(number of batches in the training data).
        eta, blocks, beta, zeta: see `scale_by_amos`.
        momentum: decay of an average of the steps, in [0, 1); None takes no average.
        accumulator_dtype: dtype of that average, by default the parameter's.
        weight_decay: more decay, beside that of the rule.
        nu_dtype: see `scale_by_amos`.

    State: a chain's: `ScaleByAmosState(count, nu, b)`, the learning rate's, the momentum's.
    Memory: 2 numbers for each block; with momentum 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Tian and Parikh, 2022, Amos: An Adam-style Optimizer with Adaptive Weight Decay towards
        Model-Oriented Scale, arXiv:2210.11693.

    Example:
        >>> tx, p = gc.amos(0.25, eta=1.0), jnp.array([0.0, 0.0])
        >>> p, _ = tx.step(jnp.array([3.0, -1.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # the first step: 0.25 eta, whatever the size of gradients
        [-0.25, 0.25]
    """
    links = [
        scale_by_amos(learning_rate, eta, blocks, beta, zeta, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    ]
    if momentum is not None:
        links.append(moving_average(momentum, debias=False, accumulator_dtype=accumulator_dtype))
    return chain(*links)
