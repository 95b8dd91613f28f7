"""Rows of parameters in low precision, and of a loss scaled for it."""

from table import LR, opt, row

import gradchain as gc

LANDS = {"lands": True, "twin": False}
SCALES = {
    "init_scale": 4.0,
    "growth_interval": 2,
    "growth_factor": 3.0,
    "min_scale": 0.5,
    "max_scale": 30.0,
}

# fmt: off
CASES = [
    opt("with_master_weights", gc.adam(LR)).but(**LANDS),
    opt("kahan", gc.sgd(LR, 0.9)).but(**LANDS),
    opt("with_split_weights", gc.chain(gc.clip_by_global_norm(1.0), gc.adam(LR))).but(**LANDS),
    row("with_split_weights", gc.sgd(0.1), 32).but(**LANDS),
    opt("stochastic_rounding", gc.adam(LR), key=3).but(**LANDS, long=4.0),
    opt("dynamic_loss_scale", gc.with_master_weights(gc.adam(LR, eps=1e-3)), **SCALES).but(**LANDS),
]
# fmt: on
