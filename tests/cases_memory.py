"""Rows of what saves memory, what withstands spikes, and what sees curvature."""

from arguments import by_column, curved, matrices_only
from references import papers_memory
from table import ACC32, DECAY, MASKED, MU32, TINY_ADAM, opt, row

CAME = {"b1": 0.8, "b2": 0.9, "b3": 0.95, "eps1": 1e-4, "eps2": 1e-3, "clip_threshold": 0.9}

CURVED = {"extra": curved, "complex": False}

# fmt: off
CASES = [
    row("scale_by_adam_mini"),
    row("scale_by_adahessian", update_interval=2).but(**CURVED),
    row("scale_by_amos", 0.1),
    row("scale_by_apollo", key=3),
    row("scale_by_came"),
    row("scale_by_spam"),
    row("scale_by_stable_spam"),
    row("scale_by_swats"),
    row("scale_by_tiger", **DECAY),
    opt("adam_mini", 0.02, **TINY_ADAM, blocks=by_column, **MU32, **MASKED),
    opt("adahessian", 0.02, 0.8, 0.9, 1.0, hessian_power=0.5, update_interval=3, blocks=by_column, **MU32,
        **MASKED).but(**CURVED),
    opt("amos", 0.1, 0.5, by_column, beta=0.9, zeta=2.0, momentum=0.5, **ACC32, **MASKED),
    opt("apollo", 0.02, **TINY_ADAM, rank=1, update_proj_gap=2, scale=4.0, scale_type="tensor",
        key=3, **MU32, **MASKED),
    opt("came", 0.02, **CAME, **MU32, **MASKED),
    opt("spam", 0.02, **TINY_ADAM, threshold=2.0, reset_interval=3, warmup_steps=2, clip_after=1, **MU32,
        **MASKED),
    opt("stable_spam", 0.02, **TINY_ADAM, gamma1=0.5, gamma2=0.8, theta=0.9, reset_interval=3, **MU32,
        **MASKED),
    opt("ranger", 0.02, **TINY_ADAM, sync_period=3, threshold=4.5, **MU32, **MASKED).but(
        whole=1e-6, long=3.0),
    opt("swats", 0.02, **TINY_ADAM, switch_tolerance=10.0, **MU32, **MASKED).per(
        papers_memory.swats, switch_tolerance=0.01, mu_dtype=None, weight_decay=0.0),
    opt("tiger", 0.02, 0.8, 0.1, matrices_only, **MU32, weight_decay_mask=matrices_only).per(
        papers_memory.tiger_embeddings),
]

VARIANTS = [
    opt("adahessian", 0.02).but(**CURVED).per(
        papers_memory.adahessian, hessian_power=0.5, update_interval=3, **DECAY),
    opt("amos", 0.1).per(papers_memory.amos),
    opt("ranger", 0.02).per(papers_memory.ranger, b2=0.9, sync_period=4, **DECAY),
    opt("tiger", 0.02).per(papers_memory.tiger),
]
