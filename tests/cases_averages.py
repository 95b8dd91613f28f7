"""Rows of averages of parameters, and of the family of weight decays."""

from arguments import down, matrices_only
from references import papers_averages as papers
from table import ADAM, DECAY, FIXED, LR, MASK, opt, row

import gradchain as gc

SHAPE = {"learning_rate": down, "max_learning_rate": 0.2}

# fmt: off
CASES = [
    row("add_cautious_decay", 0.1),
    row("add_cautious_decay", down, matrices_only, strict=True),
    row("add_corrected_decay", 0.1, **SHAPE),
    row("add_decay_to_start", 0.1),
    row("add_decay_to_start", down, FIXED),
    row("add_independent_decay", 0.1),
    row("add_independent_decay", 0.1, **SHAPE, mask=matrices_only),
    row("ema_nesterov"),
    row("ema_nesterov", 0.4, 0.8, **SHAPE, accumulator_dtype="float32"),
    row("lawa_params", 3, 2),
    row("power_ema_params", (0.05, 0.2), accumulator_dtype="float32"),
    row("tail_ema_params", 1, 2.0, 0.6),
    opt("acprop", 0.01, **ADAM, **DECAY, centered_by="new").per(papers.acprop),
]

VARIANTS = [
    opt("ademamix", 0.01, b3=gc.beta_schedule(0.9, 0.9999, 9, -1, "halflife"),
        alpha=gc.linear_schedule(5 / 9, 5.0, 8), **DECAY).but(twin=False).per(papers.scheduled_ademamix),
    row("scale_by_acprop", centered_by="new"),
    row("acprop", LR, **MASK, centered_by="new"),
]
# fmt: on
