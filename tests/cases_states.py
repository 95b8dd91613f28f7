"""Rows of states in few bits. Every array of the small trees is packed, and rounded in each step."""

from arguments import by_rank, matrices_only
from table import ADAM, WHOLE, row

import gradchain as gc

ALL = {"min_size": 1}
"""No array is too small."""

# fmt: off
CASES = [
    row("quantize_state", gc.adamw(0.02, **ADAM), **ALL),
    row("quantize_state", gc.chain(gc.clip(1.0), gc.adam(0.02, **ADAM)), {"mu": "float8", "nu": 4}, 3,
        **ALL, keep=matrices_only).but(**WHOLE, half=29.0),
    row("quantize_state", gc.partition({"a": gc.rmsprop(0.01), "b": gc.lion(0.01)}, by_rank), "bfloat16",
        **ALL, key=3),
]
