"""Rows of Dion's family: orthogonal steps of low rank, or of some rows."""

from references import papers_dion as papers
from table import FIXED, LR, MASKED, MU32, ROWWISE, opt, row

import gradchain as gc

# fmt: off
CASES = [
    row("masked", gc.scale_by_dion(0.8), FIXED).but(twin=False),
    row("masked", gc.scale_by_dion2(0.4, 0.8), FIXED).but(twin=False),
    opt("dion", 0.02, 0.9, 1e-4, rank=1, adam_learning_rate=LR, **MU32, **MASKED).but(**ROWWISE).per(
        papers.dion, rank=2, adam_learning_rate=None, mu_dtype=None, weight_decay_mask=None),
    opt("dion2", 0.02, 0.4, 0.9, 0.8, 1e-4, ns_coeffs="polar_express_safe", ns_steps=8,
        adam_learning_rate=LR, **MU32, **MASKED).but(**ROWWISE).per(
        papers.dion2, ns_coeffs="polar_express_refit", ns_steps=5, adam_learning_rate=None, mu_dtype=None,
        weight_decay_mask=None),
]
VARIANTS = [
    opt("dion", 0.02).per(papers.dion),
    opt("dion2", 0.02).per(papers.dion2),
    opt("dion2", 0.02, 0.5, 0.5, None, 1e-3).per(papers.dion2),
]
# fmt: on
