"""Rows of what withstands spikes: of losses, gradients, and moments."""

from arguments import lossy
from references import papers_spikes as papers
from table import DECAY, LR, MASKED, MU32, TINY_ADAM, opt, row

import gradchain as gc

# fmt: off
CASES = [
    row("skip_outliers", gc.adam(0.01), 4, 1.0).but(extra=lossy),
    row("zclip", 0.8, 0.2, 2.0, 1e-3, 2),
    row("adagc", 0.5, 1.0, 0.8, 2),
    row("reset_moments", gc.scale_by_adam(), 3, 2),
    row("scale_by_stable_adam").but(kinks=("clip_threshold",)),  # r is 1 at the first step
    opt("stable_adamw", 0.02, **TINY_ADAM, clip_threshold=0.8, **MU32, **MASKED),
]

VARIANTS = [
    row("zclip", 0.8, 0.5, 1.0, 1e-3, 2).per(papers.zclip),
    row("zclip", 0.9, 0.2, 1.5, 1e-3, 3, clip_factor=0.5, skip_update_on_spike=True).per(papers.zclip),
    row("zclip", 0.8, 0.1, 2.0, 1e-3, 2, "mean").per(papers.zclip),
    row("zclip", 0.8, 0.1, warmup_steps=2, clip_option="percentile").per(papers.zclip),
    row("adagc", 0.7, 1.0, 0.9, 4).per(papers.adagc),
    opt("stable_adamw", LR).per(papers.stable_adamw),
    opt("stable_adamw", LR, 0.8, 0.9, 1e-3, 0.5, **DECAY).per(papers.stable_adamw),
]
