"""FTRL-proximal: parameters that are exactly zero where that is as good."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import (
    NON_NEGATIVE,
    POSITIVE,
    Range,
    compute_dtype,
    dtype_of,
    leafwise,
    relaxed_promotion,
    transformation,
)
from ..core.numerics import abs_sq, copy_of, full_like
from ..core.types import Array, Numeric, Params

NEGATIVE_OR_ZERO = Range("at most 0", lambda x: x <= 0)


class FtrlState(NamedTuple):
    """State of `ftrl`."""

    z: Params  # like params, at least float32; sum of gradients, less the proximal terms
    n: Params  # like |params|, at least float32; sum of squared gradients


@transformation(
    learning_rate=POSITIVE,
    l1=NON_NEGATIVE,
    l2=NON_NEGATIVE,
    beta=NON_NEGATIVE,
    learning_rate_power=NEGATIVE_OR_ZERO,
)
def ftrl(
    learning_rate: Numeric,
    l1: Numeric = 0.0,
    l2: Numeric = 0.0,
    beta: Numeric = 0.0,
    initial_accumulator_value: Numeric = 0.1,
    learning_rate_power: Numeric = -0.5,
    *,
    keep_start: bool = True,
):
    """FTRL-proximal: z = z + g - (r(n + |g|^2) - r(n)) / learning_rate p;  n = n + |g|^2;
    p = 0 where |z| <= l1, else (sign(z) l1 - z) / ((beta + r(n)) / learning_rate + l2).

    r(n) = n^(-learning_rate_power), the square root. The parameters minimize the sum of the gradients so
    far, of l1 |p| + l2 |p|^2 / 2, and of terms that hold them near the points on the way. For sparse
    features: with l1, entries that help little are exactly 0, and stay so while their gradients are 0.

    Args:
        learning_rate: alpha, more than 0. It is a part of the objective and cannot follow a schedule.
        l1, l2: weights of the penalties, at least 0.
        beta: makes the first steps of an entry smaller, at least 0; the paper takes 1.
        initial_accumulator_value: of n, at least 0.
        learning_rate_power: at most 0; at 0 the rate does not fall.
        keep_start: whether z begins where the objective's minimum is the parameters given. False begins
            at z = 0, as the paper does, whose parameters begin at 0; others are forgotten in part.

    State: `FtrlState(z, n)`. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: McMahan et al., 2013, Ad Click Prediction: a View from the Trenches, algorithm 1.

    Example:
        >>> tx, p = gc.ftrl(1.0, l1=1.0, initial_accumulator_value=0.0), jnp.array([0.0, 0.0])
        >>> p, _ = tx.step(jnp.array([0.5, -4.0]), tx.init(p), p)
        >>> p.tolist()  # a sum of gradients below l1 gives exactly 0; (4 - 1) / 4
        [0.0, 0.75]
    """

    def root(n: Array) -> Array:
        return n**-learning_rate_power

    def strength(n: Array) -> Array:
        return (beta + root(n)) / learning_rate + l2

    def init(p: Array) -> FtrlState:
        n = full_like(p, initial_accumulator_value)
        start = copy_of(p, compute_dtype(dtype_of(p)))
        with relaxed_promotion():  # complex parameters
            z = -(jnp.sign(start) * l1 + start * strength(n))
        return FtrlState(z=z if keep_start else jnp.zeros_like(z), n=n)

    def update(g: Array, s: FtrlState, p: Array) -> tuple[Array, FtrlState]:
        n = s.n + abs_sq(g)
        z = s.z + g - (root(n) - root(s.n)) / learning_rate * p
        new = jnp.where(jnp.abs(z) > l1, (jnp.sign(z) * l1 - z) / strength(n), 0)
        return new - p, s._replace(z=z, n=n)

    return leafwise(init, update, needs_params=True)
