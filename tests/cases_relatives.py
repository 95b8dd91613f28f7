"""Rows of Adam's and momentum's relatives."""

from references import papers
from table import ACC32, DECAY, LR, MASKED, MU32, TINY_ADAM, opt, row

# fmt: off
CASES = [
    row("scale_by_adabound"),
    row("scale_by_adam_atan2"),
    row("scale_by_adamp", **TINY_ADAM, delta=1.0, **DECAY),
    row("scale_by_aggmo"),
    row("scale_by_grams"),
    row("scale_by_laprop"),
    row("scale_by_qhadam"),
    row("scale_by_qhm"),
    row("scale_by_sgdp", delta=1.0, **DECAY),
    opt("adabound", LR),
    opt("adabound", 0.02, **TINY_ADAM, final_lr=0.05, gamma=0.1, **MASKED),
    opt("adam_atan2", LR).per(papers.adam_atan2),
    opt("adam_atan2", 0.02, b1=0.8, b2=0.9, a=1.5, b=0.5, **MU32, **MASKED),
    opt("adamp", LR),
    opt("adamp", 0.02, **TINY_ADAM, delta=1.0, wd_ratio=0.5, nesterov=True, **MU32, **MASKED),
    opt("aggmo", 0.02),
    opt("aggmo", 0.02, (0.5, 0.8), **ACC32, **MASKED),
    opt("asgd", 0.1),
    opt("asgd", 0.1, lambd=0.1, alpha=0.5, t0=1.0, **MASKED),
    opt("ftrl", 0.1).but(injects=1e-5),  # a difference of nearly equal numbers
    opt("ftrl", 0.1, l1=0.1, l2=0.2, beta=1.0, initial_accumulator_value=0.5, learning_rate_power=-0.4).but(
        injects=1e-5),
    opt("ftrl", 0.1, keep_start=False),
    opt("grams", 0.02),
    opt("grams", 0.02, **TINY_ADAM, **MU32, **MASKED),
    opt("laprop", LR),
    opt("laprop", 0.02, **TINY_ADAM, **MU32, **MASKED),
    opt("qhadam", LR),
    opt("qhadam", 0.02, **TINY_ADAM, nu1=0.5, nu2=0.9, **MU32, **MASKED),
    opt("qhm", 0.1),
    opt("qhm", 0.1, momentum=0.8, nu=0.5, **ACC32, **MASKED),
    opt("sgdp", 0.02),
    opt("sgdp", 0.02, momentum=0.8, dampening=0.1, eps=1e-4, delta=1.0, wd_ratio=0.5, nesterov=False,
        **ACC32, **MASKED),
]
