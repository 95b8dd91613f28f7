"""Cycles between two values."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from ..core import schedule
from ..core.types import Numeric, Schedule
from .progress import blend, check_positive, number, quotient, real, since

MODES = ("triangular", "triangular2", "exp_range")


@schedule
def cyclic_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    transition_steps: int,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    decay_rate: Numeric = 1.0,
) -> Schedule:
    """Moves linearly from the lowest value to the peak and back, again and again.

    v(t) = init_value + (peak_value - init_value) w(t) a(t): w rises from 0 to 1 in
    `transition_steps` and falls in as many; a is 1 ("triangular"), 1/2 to the power of the full cycles
    done ("triangular2") or decay_rate^t ("exp_range").

    Args:
        init_value, peak_value: the lowest and the (first) highest value.
        transition_steps: half a cycle in steps, positive.
        mode: how the peaks shrink.
        decay_rate: in (0, 1], per step, for "exp_range" only.

    Raises: ValueError for another mode or steps out of range.
    Reference: Smith, 2015, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186.

    Example:
        >>> v = gc.cyclic_schedule(0.0, 1.0, transition_steps=2)
        >>> [float(v(t)) for t in range(6)]  # up, down, up again
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """
    check_positive("cyclic_schedule", transition_steps=transition_steps)
    if mode not in MODES:
        modes = ", ".join(map(repr, MODES))
        raise ValueError(f"cyclic_schedule: mode must be one of {modes}, received {mode!r}.")
    known = number(transition_steps)

    def value(count: Any) -> jax.Array:
        n = since(count, 0)
        exact = isinstance(known, int) and 2 * known <= jnp.iinfo(jnp.int32).max
        if not (exact and jnp.issubdtype(n.dtype, jnp.integer)):
            n = real(n)
        half = jnp.asarray(known, n.dtype)
        height = quotient(half - jnp.abs(n % (2 * half) - half), half)
        if mode == "triangular2":
            height = height * 0.5 ** real(n // (2 * half))
        elif mode == "exp_range":
            height = height * real(decay_rate) ** real(n)
        return blend(peak_value, init_value, height)

    return value
