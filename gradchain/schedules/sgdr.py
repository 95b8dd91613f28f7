"""Warm restarts."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import schedule
from ..core.types import Schedule
from .join import joined
from .warmup import warmup_cosine_decay_schedule


@schedule
def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Rises and cosine decays one after another.

    Args: cosine_kwargs, the arguments of one `warmup_cosine_decay_schedule` each; its `decay_steps`
        is how long it lasts.
    Raises: ValueError for an empty sequence, or where a cycle's arguments are wrong.
    Reference: Loshchilov and Hutter, 2016, SGDR, arXiv:1608.03983.
    """
    cycles = [dict(kwargs) for kwargs in cosine_kwargs]
    if not cycles:
        raise ValueError("sgdr_schedule: cosine_kwargs must hold at least one cycle, received none.")
    boundaries = [0]
    for kwargs in cycles[:-1]:
        boundaries.append(boundaries[-1] + kwargs["decay_steps"])
    return joined([warmup_cosine_decay_schedule(**kwargs) for kwargs in cycles], boundaries[1:])
