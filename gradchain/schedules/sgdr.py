"""Warm restarts."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import schedule
from ..core.types import Schedule
from .join import joined
from .warmup import warmup_cosine_decay_schedule


@schedule
def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Several cycles, each a linear rise and a cosine decay.

    Args: cosine_kwargs, for each cycle the arguments of `warmup_cosine_decay_schedule`; its
        `decay_steps` is the length of the cycle.
    Raises: ValueError for an empty sequence, or if a cycle's arguments are wrong.
    Reference: Loshchilov and Hutter, 2016, SGDR, arXiv:1608.03983.

    Example:
        >>> cycle = dict(init_value=0.0, peak_value=1.0, warmup_steps=1, decay_steps=3)
        >>> v = gc.sgdr_schedule([cycle, cycle])
        >>> [round(float(v(t)), 3) for t in range(6)]  # the fall begins anew
        [0.0, 1.0, 0.5, 0.0, 1.0, 0.5]
    """
    cycles = [dict(kwargs) for kwargs in cosine_kwargs]
    if not cycles:
        raise ValueError("sgdr_schedule: cosine_kwargs must hold at least one cycle, received none.")
    boundaries = [0]
    for kwargs in cycles[:-1]:
        boundaries.append(boundaries[-1] + kwargs["decay_steps"])
    return joined([warmup_cosine_decay_schedule(**kwargs) for kwargs in cycles], boundaries[1:])
