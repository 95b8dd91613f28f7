"""Cooldowns: the last part of a run, from the value of the schedule down to the last value."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ..core import nearest, schedule as remembered
from ..core.types import Numeric, Schedule
from .join import joined
from .polynomial import polynomial
from .progress import between, blend, check_positive, done_and_left, half_cosine, is_known, real

Cooldown = Literal["linear", "cosine", "mirror_cosine", "square", "1-sqrt", "sqrt", "exponential"]

# The weight of the first value, by the parts of the cooldown that are done and left.
COOLDOWNS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "linear": lambda done, left: left,
    "cosine": lambda done, left: half_cosine(left),
    "mirror_cosine": lambda done, left: 2 * left - half_cosine(left),
    "square": lambda done, left: left * (1 + done),  # 1 - done^2 without cancellation
    "1-sqrt": lambda done, left: 1 - jnp.sqrt(done),
    "sqrt": lambda done, left: 1 - jnp.sqrt(done),  # the same, as Semenov et al. call it
}
SHAPES = (*COOLDOWNS, "exponential")


def geometric(start: Any, end: Any, done: jax.Array) -> jax.Array:
    """start^(1 - done) end^done, exact at both ends and between them; 0 from a start of 0."""
    start, end = real(start), real(end)
    ratio = end / jnp.where(start == 0, 1, start)
    return between(start, end, start * jnp.where(ratio > 0, ratio, 1) ** done, done)


def cooled(f: Callable[[Any], Any], begin: Any, steps: Any, end_value: Any, shape: str) -> Schedule:
    """`f` until `begin`, then from its value there to `end_value`."""

    def value(count: Any) -> jax.Array:
        done, left = done_and_left(count, steps, begin)
        start = f(jnp.asarray(begin))
        if shape == "exponential":
            fall = geometric(start, end_value, done)
        else:
            fall = blend(start, end_value, COOLDOWNS[shape](done, left))
        return jnp.where(done > 0, fall, real(f(count)))

    return value


def check_cooldown(
    name: str, shape: str, end_value: Any, peak_value: Any = None, argument: str = "cooldown"
) -> None:
    """Raises ValueError for an unknown shape, or one that does not end at this value."""
    if shape not in SHAPES:
        known = ", ".join(map(repr, SHAPES))
        raise ValueError(
            f"{name}: {argument} must be one of {known}, received {shape!r}.{nearest(str(shape), SHAPES)}"
        )
    numbers = [x for x in (end_value, peak_value) if isinstance(x, (int, float))]
    if shape == "exponential" and (
        any(x == 0 for x in numbers) or (len(numbers) == 2 and numbers[0] * numbers[1] < 0)
    ):
        raise ValueError(
            f"{name}: an exponential decay reaches neither 0 nor the other sign: end_value must have the "
            f"sign of the value before, received {end_value!r}. Give a small one, or another {argument}."
        )


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
    with x = (t - T) / decay_steps clipped to [0, 1] and f of this cooldown:
    linear 1 - x;  cosine c = (1 + cos(pi x)) / 2;  mirror_cosine 2 (1 - x) - c;  square 1 - x^2;
    1-sqrt, or sqrt, 1 - sqrt(x).  exponential: schedule(T)^(1 - x) end_value^x.

    Args:
        schedule: a function of the step count.
        transition_begin: first step of the cooldown, at least 0.
        decay_steps: its length in steps, positive.
        end_value: the last value; for an exponential decay not 0, and with the sign of schedule(T).
        cooldown: the shape, one of those above.

    Raises: ValueError for another cooldown, steps out of range or an end that the shape has not.
    Reference: Hägele et al., 2024, Scaling Laws and Compute-Optimal Training Beyond Fixed Training
        Durations, arXiv:2405.18392.

    Example:
        >>> v = gc.cooldown_schedule(gc.constant_schedule(1.0), transition_begin=10, decay_steps=4)
        >>> [float(v(t)) for t in (0, 10, 11, 12, 14, 100)]
        [1.0, 1.0, 0.75, 0.5, 0.0, 0.0]
    """
    check_positive("cooldown_schedule", decay_steps=decay_steps)
    check_cooldown("cooldown_schedule", cooldown, end_value)
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
    of them that is done and f, for each `cooldown`, is that of `cooldown_schedule`.

    Args:
        init_value, peak_value, end_value: the values at step 0, in the middle and at the end.
        warmup_steps, stable_steps: lengths in steps, at least 0.
        decay_steps: length of the last part alone in steps, positive.
        cooldown: "linear", "cosine", "mirror_cosine", "square", "1-sqrt" ("sqrt") or "exponential".

    Raises: ValueError for another cooldown, steps out of range or an end that the shape has not.
    Reference: Hu et al., 2024, MiniCPM, arXiv:2404.06395; Hägele et al., 2024, Scaling Laws and
        Compute-Optimal Training Beyond Fixed Training Durations, arXiv:2405.18392 (1-sqrt).

    Example:
        >>> v = gc.warmup_stable_decay_schedule(0.0, 1.0, warmup_steps=2, stable_steps=6, decay_steps=4)
        >>> [float(v(t)) for t in (0, 1, 2, 8, 9, 12)]
        [0.0, 0.5, 1.0, 1.0, 0.75, 0.0]
    """
    name = "warmup_stable_decay_schedule"
    for argument, steps in (("warmup_steps", warmup_steps), ("stable_steps", stable_steps)):
        if is_known(steps) and steps < 0:
            raise ValueError(f"{name}: {argument} must be at least 0, received {steps!r}.")
    check_positive(name, decay_steps=decay_steps)
    check_cooldown(name, cooldown, end_value, peak_value)
    return risen_and_cooled(
        init_value, peak_value, warmup_steps, warmup_steps + stable_steps, decay_steps, end_value, cooldown
    )


def risen_and_cooled(
    init_value: Any, peak_value: Any, warmup_steps: Any, begin: Any, steps: Any, end_value: Any, shape: str
) -> Schedule:
    """A line up to the peak, and from `begin` on the cooldown."""
    rise = polynomial(init_value, peak_value, 1, warmup_steps, 0)
    stay = joined((rise, lambda count: real(peak_value)), (warmup_steps,))
    return cooled(stay, begin, steps, end_value, shape)
