"""The state that AdaBelief and ACProp share."""

from typing import NamedTuple

from ..core.types import Count, Params


class ScaleByBeliefState(NamedTuple):
    """State of `scale_by_belief` and `scale_by_acprop`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, at least float32, or mu_dtype; moving average of gradients
    nu: Params  # like |params|, at least float32; moving average of squared prediction errors
