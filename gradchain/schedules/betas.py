"""Decays of averages that change over a run: momentum warm-up, and longer and longer averages."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from ..core import UNIT, nearest, schedule
from ..core.types import Numeric, Schedule
from .progress import between, blend, check_positive, done_and_left, is_number, real

SPACES = ("linear", "halflife")


def _slowness(beta: Any) -> jax.Array:
    """1 / ln(beta), minus the half-life in units of ln 2: 0 for a decay of 0."""
    beta = real(beta)
    inside = beta > 0
    return jnp.where(inside, 1 / jnp.log(jnp.where(inside, beta, 0.5)), 0)


@schedule
def beta_schedule(
    init_value: Numeric,
    end_value: Numeric,
    transition_steps: int,
    transition_begin: int = 0,
    space: Literal["linear", "halflife"] = "linear",
) -> Schedule:
    """Moves the decay of an average from one value to another, in a line or evenly in its half-life.

    With x = (t - transition_begin) / transition_steps clipped to [0, 1]: linear (1 - x) b_0 + x b_1;
    halflife, with h = ln(1/2) / ln(b), the b whose h is (1 - x) h_0 + x h_1.

    Momentum warm-up is `beta_schedule(0.85, 0.95, 300)`. AdEMAMix's authors count steps from 1:
    `b3=beta_schedule(0.9, 0.9999, T, -1, "halflife")`, `alpha=linear_schedule(5 / T, 5, T - 1)`.

    Args:
        init_value, end_value: decays b_0 and b_1, in [0, 1).
        transition_steps: length in steps, positive.
        transition_begin: first step of the transition; -1 has one step done at the first.
        space: "linear" or "halflife".

    Raises: ValueError for decays or steps out of range, or for another space.
    Reference: Pagliardini, Ablin and Grangier, 2024, The AdEMAMix Optimizer: Better, Faster, Older,
        arXiv:2409.03137 (halflife).

    Example:
        >>> v = gc.beta_schedule(0.5, 0.75, 4)
        >>> [float(v(t)) for t in (0, 2, 4)]  # in a line
        [0.5, 0.625, 0.75]
    """
    name = "beta_schedule"
    for argument, beta in (("init_value", init_value), ("end_value", end_value)):
        if is_number(beta) and not UNIT.holds(beta):
            raise ValueError(f"{name}: {argument} must be {UNIT.text}, received {beta!r}.")
    check_positive(name, transition_steps=transition_steps)
    if space not in SPACES:
        close = nearest(str(space), SPACES)
        raise ValueError(f"{name}: space must be 'linear' or 'halflife', received {space!r}.{close}")

    def value(count: Any) -> jax.Array:
        done, left = done_and_left(count, transition_steps, transition_begin)
        if space == "linear":
            return blend(init_value, end_value, left)
        slowness = _slowness(init_value) * left + _slowness(end_value) * done
        inside = slowness < 0
        beta = jnp.where(inside, jnp.exp(1 / jnp.where(inside, slowness, -1)), 0)
        return between(init_value, end_value, beta, done)

    return value
