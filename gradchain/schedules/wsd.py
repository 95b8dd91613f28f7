"""Warmup, stable, decay, told by parts of the run."""

from ..core import schedule
from ..core.types import Numeric, Schedule
from .cooldown import Cooldown, check_cooldown, risen_and_cooled
from .progress import check_positive, is_known


@schedule
def wsd_schedule(
    peak_value: Numeric,
    total_steps: int,
    warmup_steps: int = 0,
    decay_fraction: float = 0.1,
    shape: Cooldown = "linear",
    init_value: Numeric = 0.0,
    end_value: Numeric = 0.0,
) -> Schedule:
    """Rises to the peak, stays there, and falls in the last part of a run of known length.

    The last int(decay_fraction total_steps) steps are the decay. With x, the part of them that is done,
    v = end_value + (peak_value - end_value) f(x), and f by shape: linear 1 - x; cosine
    c = (1 + cos(pi x)) / 2; mirror_cosine 2 (1 - x) - c; square 1 - x^2; sqrt, or 1-sqrt, 1 - sqrt(x);
    exponential: v = peak_value^(1 - x) end_value^x. `warmup_stable_decay_schedule` takes lengths instead.

    Args:
        peak_value: the value between the rise and the decay.
        total_steps: length of the run in steps, positive.
        warmup_steps: length of the line from `init_value` to the peak; 0 begins at the peak.
        decay_fraction: part of the run that decays, in (0, 1], of at least one step.
        shape: "linear", "cosine", "mirror_cosine", "square", "1-sqrt" ("sqrt") or "exponential".
        init_value, end_value: the first and the last value; an exponential decay does not end at 0.

    Raises: ValueError for another shape, steps out of range, or a warm-up that goes into the decay.
    Reference: Hu et al., 2024, MiniCPM, arXiv:2404.06395; Semenov, Pagliardini and Jaggi, 2025,
        Benchmarking Optimizers for Large Language Model Pretraining, arXiv:2509.01440 (the shapes).

    Example:
        >>> v = gc.wsd_schedule(1.0, total_steps=20, warmup_steps=2, decay_fraction=0.2)
        >>> [float(v(t)) for t in (0, 1, 2, 16, 18, 20)]
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    name = "wsd_schedule"
    check_positive(name, total_steps=total_steps)
    check_cooldown(name, shape, end_value, peak_value, "shape")
    if not 0 < decay_fraction <= 1 or (is_known(total_steps) and int(decay_fraction * total_steps) < 1):
        raise ValueError(
            f"{name}: decay_fraction must be in (0, 1] and at least one of {total_steps!r} steps, received "
            f"{decay_fraction!r}."
        )
    decay_steps = int(decay_fraction * total_steps)
    begin = total_steps - decay_steps
    if is_known(warmup_steps) and not 0 <= warmup_steps <= begin:
        raise ValueError(
            f"{name}: warmup_steps must be at least 0 and end before the decay, which begins at step "
            f"{begin!r}; received {warmup_steps!r}."
        )
    if is_known(warmup_steps) and warmup_steps == 0:
        init_value = peak_value
    return risen_and_cooled(init_value, peak_value, warmup_steps, begin, decay_steps, end_value, shape)
