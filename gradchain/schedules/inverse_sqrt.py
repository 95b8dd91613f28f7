"""Decay with the inverse square root of the step."""

from typing import Any

import jax

from ..core import schedule
from ..core.types import Numeric, Schedule
from .join import joined
from .polynomial import polynomial
from .progress import blend, check_positive, quotient


@schedule
def warmup_inverse_sqrt_schedule(
    init_value: Numeric, peak_value: Numeric, warmup_steps: int, timescale: int | None = None
) -> Schedule:
    """Rises linearly to the peak, then decays with the inverse square root of the step, without end.

    v(t) = peak_value / sqrt(1 + (t - warmup_steps) / timescale) from `warmup_steps` on, which is
    peak_value sqrt(warmup_steps / t) if the timescale is `warmup_steps`. The Transformer's schedule
    has init_value 0 and peak_value (d_model warmup_steps)^(-1/2).

    Args:
        init_value, peak_value: the values at step 0 and at `warmup_steps`.
        warmup_steps: length of the rise in steps, at least 0.
        timescale: in steps, positive, by default `warmup_steps`; the peak is halved after three times it.

    Raises: ValueError if the timescale is not positive.
    Reference: Vaswani et al., 2017, Attention Is All You Need, section 5.3, arXiv:1706.03762.

    Example:
        >>> v = gc.warmup_inverse_sqrt_schedule(0.0, 1.0, warmup_steps=4)
        >>> [round(float(v(t)), 4) for t in (0, 2, 4, 16, 64)]  # sqrt(4 / t) after the peak
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    if timescale is None:
        check_positive("warmup_inverse_sqrt_schedule: without timescale", warmup_steps=warmup_steps)
        timescale = warmup_steps
    check_positive("warmup_inverse_sqrt_schedule", timescale=timescale)

    def fall(n: Any) -> jax.Array:
        return blend(peak_value, 0, (1 + quotient(n, timescale)) ** -0.5)

    return joined((polynomial(init_value, peak_value, 1, warmup_steps, 0), fall), (warmup_steps,))
