"""Rows of optimizers of matrices that Optax lacks."""

from table import MASKED, MU32, NU32, opt, row

# fmt: off
CASES = [
    row("scale_by_soap", precondition_frequency=2, max_precond_dim=4),
    opt("soap", 0.05, 0.8, 0.9, 0.95, 1e-3, precondition_frequency=2, max_precond_dim=2, merge_dims=True,
        precondition_1d=True, normalize_grads=True, correct_bias=False, **MU32, **NU32, **MASKED),
]
VARIANTS = []
# fmt: on
