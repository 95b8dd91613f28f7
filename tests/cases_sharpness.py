"""Rows of what keeps norms, corrects gradients, climbs before it steps, or needs no gradients."""

from arguments import valued
from references import papers_sharpness as papers
from table import DECAY, FIXED, LR, MASKED, MU32, ROWWISE, TINY_ADAM, opt, row

import gradchain as gc

# Differences of the loss at rounded points
VALUED = {"extra": valued, "constant": True, "half": 8.0}

# fmt: off
CASES = [
    # The difference of two points is rounded
    opt("hyperball", gc.adam(0.1), 0.1).but(whole=1e-6).per(papers.hyperball),
    row("hyperball", gc.sgd(0.1, 0.9), 0.2, FIXED, keep="initial", batch_axes=1).but(whole=1e-6),
    # A step goes back to the start without rounding
    opt("asam", gc.sgd(0.05, 0.9), 0.2, 0.1).but(whole=1e-6),
    opt("gsam", gc.adam(0.05), 0.1, 0.8).but(whole=1e-6, long=8.0),
    opt("looksam", gc.sgd(0.02, 0.9), k=3).but(whole=1e-6),
    row("scale_by_mars"),
    opt("mars", 0.02, **TINY_ADAM, gamma=0.1, **MU32, **MASKED, adam_learning_rate=0.05, adam_b1=0.5).per(
        papers.mars, weight_decay_mask=None, mu_dtype=None),
    row("scale_by_scion").but(**ROWWISE),
    row("scion", LR, 0.2, {"w": "row", "deep": "sign"}, 2.0, {"w": 1.0, "deep": 0.5}, unconstrained=True,
        **MU32, **MASKED),
    opt("scion", 0.02, momentum=0.2, norm="sign"),
    row("scale_by_spsa", 0.5, "normal", 2, key=3).but(**VALUED),
    row("mezo", 0.05, 0.5, key=1, **MASKED).but(**VALUED),
    row("spsa", 0.05, 0.5, stability=2.0, key=1, **DECAY).but(**VALUED),
]

VARIANTS = [
    opt("mars", LR, optimize_1d=True).per(papers.mars),
    opt("mars", LR, form="lion", weight_decay=0.1).per(papers.mars_lion),
    opt("mars", LR, form="shampoo", weight_decay=0.1).per(papers.mars_shampoo),
    opt("asam", gc.sgd(0.1), 0.4, 0.1).per(papers.asam),
    opt("gsam", gc.sgd(0.1), 0.4, 0.7).per(papers.gsam),
    opt("looksam", gc.sgd(0.1), 0.4, 3).per(papers.looksam),
    opt("scion", LR).per(papers.scion),
    opt("scion", LR, 0.1, "sign", 3.0, unconstrained=True, weight_decay=0.1).per(papers.scion),
    opt("scion", LR, 0.1, "row", 3.0).per(papers.scion),
    opt("scion", LR, 0.1, "column", 3.0).per(papers.scion),
    opt("scion", LR, 0.1, "bias_rms", 3.0).per(papers.scion),
]
