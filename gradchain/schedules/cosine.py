"""Half a cosine down."""

from typing import Any

import jax

from ..core import schedule
from ..core.types import Numeric, Schedule
from .progress import blend, check_positive, done_and_left, half_cosine, power, real


def cosine(init_value: Any, end_value: Any, steps: Any, exponent: Any) -> Schedule:
    """From `init_value` to `end_value` in `steps` steps."""

    def value(count: Any) -> jax.Array:
        _, left = done_and_left(count, steps)
        return blend(init_value, end_value, power(half_cosine(left), exponent))

    return value


@schedule
def cosine_decay_schedule(
    init_value: Numeric, decay_steps: int, alpha: Numeric = 0.0, exponent: Numeric = 1.0
) -> Schedule:
    """Decays along half a cosine.

    v(t) = init_value ((1 - alpha) ((1 + cos(pi t / decay_steps)) / 2)^exponent + alpha), with t at
    most `decay_steps`. Both ends are exact.

    Args:
        init_value: the value at step 0.
        decay_steps: length in steps, positive.
        alpha: the last value as a fraction of `init_value`, usually in [0, 1].
        exponent: power of the cosine.

    Raises: ValueError if `decay_steps` is not positive.
    Reference: Loshchilov and Hutter, 2016, SGDR, arXiv:1608.03983.

    Example:
        >>> v = gc.cosine_decay_schedule(1.0, decay_steps=4)
        >>> [round(float(v(t)), 3) for t in (0, 1, 2, 4)]  # halfway is half the value
        [1.0, 0.854, 0.5, 0.0]
    """
    check_positive("cosine_decay_schedule", decay_steps=decay_steps)
    return lambda count: cosine(init_value, real(init_value) * real(alpha), decay_steps, exponent)(count)
