"""Rows of what saves memory, what withstands spikes, and what sees curvature."""

from arguments import by_column
from table import MASKED, MU32, TINY_ADAM, opt, row

CAME = {"b1": 0.8, "b2": 0.9, "b3": 0.95, "eps1": 1e-4, "eps2": 1e-3, "clip_threshold": 0.9}

# fmt: off
CASES = [
    row("scale_by_adam_mini"),
    row("scale_by_apollo", key=3),
    row("scale_by_came"),
    opt("adam_mini", 0.02, **TINY_ADAM, blocks=by_column, **MU32, **MASKED),
    opt("apollo", 0.02, **TINY_ADAM, rank=1, update_proj_gap=2, scale=4.0, scale_type="tensor",
        key=3, **MU32, **MASKED),
    opt("came", 0.02, **CAME, **MU32, **MASKED),
]
