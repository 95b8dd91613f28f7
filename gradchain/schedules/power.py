"""Decay along a power of the tokens seen, for runs of any length."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import schedule
from ..core.types import Numeric, Schedule
from .progress import as_count, done_and_left, is_known, reached, real


@schedule
def power_schedule(
    peak_value: Numeric,
    amplitude: Numeric,
    power: Numeric = -0.51,
    warmup_steps: int = 0,
    batch_size: Numeric = 1.0,
    tokens_per_step: Numeric = 1.0,
) -> Schedule:
    """A power of the tokens seen, bounded above. It does not depend on the length of the run.

    v(t) = min(peak_value, batch_size amplitude (tokens_per_step t)^power), from `warmup_steps` on.
    Before that it rises linearly from 0 to v(warmup_steps). End it with `cooldown_schedule`.

    Args:
        peak_value: the bound.
        amplitude, power: a and b of the paper; there a is about 4 and b = -0.51, for tokens.
        warmup_steps: length of the rise in steps, at least 0.
        batch_size: sequences per step; 1 if the amplitude includes it.
        tokens_per_step: tokens per step; 1 counts steps in place of tokens.

    Raises: ValueError if `warmup_steps` is negative.
    Reference: Shen et al., 2024, Power Scheduler: A Batch Size and Token Number Agnostic Learning
        Rate Scheduler, arXiv:2408.13359.

    Example:
        >>> v = gc.power_schedule(peak_value=1.0, amplitude=8.0, power=-0.5, warmup_steps=2)
        >>> [round(float(v(t)), 4) for t in (0, 1, 64, 256)]  # 8 / sqrt(t), at most 1
        [0.0, 0.5, 1.0, 0.5]
    """
    if is_known(warmup_steps) and warmup_steps < 0:
        raise ValueError(f"power_schedule: warmup_steps must be at least 0, received {warmup_steps!r}.")

    def bounded_power(count: Any) -> jax.Array:
        tokens = real(tokens_per_step) * jnp.maximum(real(count), 1)  # 0 to a negative power is infinite
        law = real(batch_size) * real(amplitude) * tokens ** real(power)
        return jnp.minimum(real(peak_value), law)

    def value(count: Any) -> jax.Array:
        if is_known(warmup_steps) and warmup_steps == 0:
            return bounded_power(as_count(count))
        done, _ = done_and_left(count, warmup_steps)
        return jnp.where(
            reached(count, warmup_steps), bounded_power(count), bounded_power(warmup_steps) * done
        )

    return value
