"""SWATS: Adam first, then gradient descent with a learning rate that Adam's steps have shown."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import NON_NEGATIVE, chain, transformation, treewise
from ..core.lists import dot, each, each_of, scalar_dtype, sum_sq
from ..core.numerics import (
    abs_sq,
    accumulator_like,
    debias,
    ema,
    one_minus,
    ratio,
    sqrt,
    weight_after,
    zeros_like,
)
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Params,
    ScalarOrSchedule,
)
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decoupled


class ScaleBySwatsState(NamedTuple):
    """State of `scale_by_swats`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; Adam's moving average of gradients, then SGD's decaying sum
    nu: Params  # like |params|, at least float32, or nu_dtype; Adam's moving average of squared gradients
    average: Array  # f32[]; moving average of SGD's rate along Adam's steps
    sgd_scale: Array  # f32[]; 0 while Adam's rule holds, then SGD's rate in multiples of the learning rate


@transformation(switch_tolerance=NON_NEGATIVE)
def scale_by_swats(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-9,
    switch_tolerance: Hyperparameter = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's rule, until a rate for gradient descent is settled; from then on, momentum times this rate.

    With Adam's m and v, u = sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps);
    c = |u|^2 / <u, g>, the rate at which SGD's step has the projection u on u, over all arrays;
    l = b2 l + (1 - b2) c; at the first t > 1 where |l' - c| <= switch_tolerance |c| and l' > 0, with l'
    debiased, l' is settled, and m = 0. Then m = b1 m + g;  u = l' (1 - b1) m.

    The paper's rates have the learning rate in them. Here u is multiplied by it later, so a schedule goes
    on after the switch, and the tolerance is relative.

    Args:
        eps: added to sqrt(v) before debiasing.
        switch_tolerance: how near the rate must be to its average, at least 0; 0 hardly ever switches.

    State: `ScaleBySwatsState(count, mu, nu, average, sgd_scale)`. Memory: 2 x the parameters.
    Reference: Keskar and Socher, 2017, arXiv:1712.07628.

    Example:
        >>> tx, g = gc.scale_by_swats(b1=0.5, switch_tolerance=0.5), jnp.array([4.0])
        >>> state = tx.init(g)
        >>> for _ in range(3):  # the rate 1 / 4 is settled; then momentum, of half the weight, begins
        ...     u, state = tx.update(g, state)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0]
        [1.0]
        [0.5]
    """

    def init(ps: list[Array]) -> ScaleBySwatsState:
        zeros = [jnp.zeros((), scalar_dtype(ps)) for _ in range(2)]
        mu, nu = [zeros_like(p, mu_dtype) for p in ps], [accumulator_like(p, nu_dtype) for p in ps]
        return ScaleBySwatsState(0, mu, nu, *zeros)

    def update(
        g: list[Array], s: ScaleBySwatsState, p: list[Array]
    ) -> tuple[list[Array], ScaleBySwatsState]:
        t, sgd = s.count, s.sgd_scale > 0
        factor = sqrt(weight_after(t, b2)) / weight_after(t, b1)

        def leaf(g: Array, mu: Array, nu: Array) -> tuple[Array, Array, Array]:
            new = jnp.where(sgd, b1 * mu + g, ema(g, mu, b1))
            nu = jnp.where(sgd, nu, ema(abs_sq(g), nu, b2))
            adam = factor * ratio(new, sqrt(nu) + eps)
            return jnp.where(sgd, s.sgd_scale * one_minus(b1) * new, adam), new, nu

        u, mu, nu = each_of(3, leaf, g, s.mu, s.nu)
        along = dot(u, g)
        rate, moved = ratio(sum_sq(u), along), along != 0
        average = jnp.where(moved & ~sgd, ema(rate, s.average, b2), s.average)
        settled = debias(average, b2, t)
        near = jnp.abs(settled - rate) <= switch_tolerance * jnp.abs(rate)
        switch = ~sgd & moved & (t > 1) & (settled > 0) & near
        return u, s._replace(
            mu=each(lambda mu: jnp.where(switch, 0, mu), mu),
            nu=nu,
            average=average,
            sgd_scale=jnp.where(switch, settled, s.sgd_scale),
        )

    return treewise(init, update, needs_params=False)


@transformation(deferred=True, switch_tolerance=NON_NEGATIVE)
def swats(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-9,
    switch_tolerance: ScalarOrSchedule = 1e-6,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """SWATS: Adam, then p = p - learning_rate (l (1 - b1) m + weight_decay p) with m = b1 m + g.

    l is the rate that Adam's steps have along the gradients; the rule switches when it hardly changes. See
    `scale_by_swats`.

    Args:
        b1, b2, eps, switch_tolerance: see `scale_by_swats`.

    State: a chain's: `ScaleBySwatsState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Keskar and Socher, 2017, Improving Generalization Performance by Switching from Adam to SGD,
        arXiv:1712.07628.

    Example:
        >>> tx, p = gc.swats(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, -0.01], [3.0, -0.01]):  # Adam's steps, until the rate is settled
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.0, 1.0]
    """
    return chain(
        scale_by_swats(b1, b2, eps, switch_tolerance, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
