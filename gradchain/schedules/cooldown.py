"""Cooldowns: the last part of a run, from the value of the schedule down to the last value."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ..core import schedule as remembered
from ..core.types import Numeric, Schedule
from .join import joined
from .polynomial import polynomial
from .progress import blend, check_positive, done_and_left, half_cosine, is_known, real

Cooldown = Literal["linear", "cosine", "1-sqrt"]

# The weight of the first value, by the parts of the cooldown that are done and left.
COOLDOWNS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "linear": lambda done, left: left,
    "cosine": lambda done, left: half_cosine(left),
    "1-sqrt": lambda done, left: 1 - jnp.sqrt(done),
}


def cooled(f: Callable[[Any], Any], begin: Any, steps: Any, end_value: Any, shape: str) -> Schedule:
    """`f` until `begin`, then from its value there to `end_value`."""

    def value(count: Any) -> jax.Array:
        done, left = done_and_left(count, steps, begin)
        fall = blend(f(jnp.asarray(begin)), end_value, COOLDOWNS[shape](done, left))
        return jnp.where(done > 0, fall, real(f(count)))

    return value


def check_cooldown(name: str, shape: str) -> None:
    """Raises ValueError for an unknown shape."""
    if shape not in COOLDOWNS:
        known = ", ".join(map(repr, COOLDOWNS))
        raise ValueError(f"{name}: cooldown must be one of {known}, received {shape!r}.")


@remembered
def cooldown_schedule(
    schedule: Schedule,
    transition_begin: int,
    decay_steps: int,
    end_value: Numeric = 0.0,
    cooldown: Cooldown = "linear",
) -> Schedule:
    """Follows any schedule up to a step, then falls from its value there.

    v(t) = schedule(t) before T = transition_begin, then end_value + (schedule(T) - end_value) f(x)
    with x = (t - T) / decay_steps clipped to [0, 1] and f(x) = 1 - x, (1 + cos(pi x)) / 2 or
    1 - sqrt(x).

    Args:
        schedule: a function of the step count.
        transition_begin: first step of the cooldown, at least 0.
        decay_steps: its length in steps, positive.
        end_value: the last value.
        cooldown: "linear", "cosine" or "1-sqrt".

    Raises: ValueError for another cooldown or steps out of range.
    Reference: Hägele et al., 2024, Scaling Laws and Compute-Optimal Training Beyond Fixed Training
        Durations, arXiv:2405.18392.
    """
    check_positive("cooldown_schedule", decay_steps=decay_steps)
    check_cooldown("cooldown_schedule", cooldown)
    return cooled(schedule, transition_begin, decay_steps, end_value, cooldown)


@remembered
def warmup_stable_decay_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    warmup_steps: int,
    stable_steps: int,
    decay_steps: int,
    end_value: Numeric = 0.0,
    cooldown: Cooldown = "linear",
) -> Schedule:
    """Rises linearly to the peak, stays there, then falls: WSD, or the trapezoid.

    v goes from `init_value` to `peak_value` in `warmup_steps`, keeps it for `stable_steps`, and is
    end_value + (peak_value - end_value) f(x) in the last `decay_steps`, where x is the part
    of them that is done and f(x) = 1 - x, (1 + cos(pi x)) / 2 or 1 - sqrt(x).

    Args:
        init_value, peak_value, end_value: the values at step 0, in the middle and at the end.
        warmup_steps, stable_steps: lengths in steps, at least 0.
        decay_steps: length of the last part alone in steps, positive.
        cooldown: "linear", "cosine" or "1-sqrt".

    Raises: ValueError for another cooldown or steps out of range.
    Reference: Hu et al., 2024, MiniCPM, arXiv:2404.06395; Hägele et al., 2024, Scaling Laws and
        Compute-Optimal Training Beyond Fixed Training Durations, arXiv:2405.18392 (1-sqrt).
    """
    name = "warmup_stable_decay_schedule"
    for argument, steps in (("warmup_steps", warmup_steps), ("stable_steps", stable_steps)):
        if is_known(steps) and steps < 0:
            raise ValueError(f"{name}: {argument} must be at least 0, received {steps!r}.")
    check_positive(name, decay_steps=decay_steps)
    check_cooldown(name, cooldown)
    rise = polynomial(init_value, peak_value, 1, warmup_steps, 0)
    stay = joined((rise, lambda count: real(peak_value)), (warmup_steps,))
    return cooled(stay, warmup_steps + stable_steps, decay_steps, end_value, cooldown)
