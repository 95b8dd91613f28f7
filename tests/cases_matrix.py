"""Rows of optimizers of matrices that Optax lacks."""

from arguments import few_rows
from references import papers_matrix as papers
from table import FIXED, LR, MASKED, MU32, NU32, ROWWISE, WHOLE, opt, row

import gradchain as gc

# fmt: off
CASES = [
    # A traced number of steps iterates without Gram matrices
    opt("muon", 0.02, "polar_express_safe", 4, heavy_ball=True, gram=True, scaling="spectral",
        **MASKED).but(**ROWWISE, twin=False, injects=5e-5),
    row("masked", gc.scale_by_normuon(0.8), FIXED).but(twin=False),
    row("masked", gc.scale_by_adamuon(0.8), FIXED).but(twin=False),
    opt("normuon", 0.02, 0.9, 0.8, 1e-4, ns_coeffs="dion", ns_steps=3, adam_learning_rate=LR,
        adam_weight_decay=0.1, **MU32, **MASKED).but(**ROWWISE),
    opt("adamuon", 0.02, 0.9, 0.8, 1e-4, ns_coeffs="dion", ns_steps=3, low_precision=True, nesterov=False,
        adam_learning_rate=LR, **MASKED).but(**ROWWISE),
    row("masked", gc.scale_by_kl_shampoo(precondition_frequency=2), FIXED).but(twin=False),
    row("masked", gc.scale_by_kl_soap(precondition_frequency=2), FIXED).but(twin=False),
    opt("kl_shampoo", LR, 0.8, 0.9, 1e-3, precondition_frequency=2, normalize_grads=True, init_factor=1.0,
        weight_dimension_numbers=few_rows, **MU32, **MASKED),
    opt("kl_soap", LR, 0.8, 0.9, 0.95, 1e-3, precondition_frequency=2, max_root=None,
        adam_learning_rate=0.02, weight_dimension_numbers=few_rows, **MU32, **NU32, **MASKED),
    row("scale_heads", {"deep/0/b": 0}).but(checks_leaves=False),
    # Where a matrix has equal eigenvalues, rounding chooses the basis: here no axis has more than one 0
    row("scale_by_soap", precondition_frequency=2, max_precond_dim=4).but(**ROWWISE),
    opt("soap", 0.05, 0.8, 0.9, 0.95, 1e-3, precondition_frequency=2, max_precond_dim=2, merge_dims=True,
        precondition_1d=True, normalize_grads=True, correct_bias=False, **MU32, **NU32, **MASKED),
    row("scale_by_shampoo", eps=1e-3, max_precond_dim=3, graft="rmsprop", one_sided=True).but(**WHOLE),
    opt("shampoo", LR, 0.8, 0.9, 0.7, 1e-2, precondition_frequency=2, start_step=3, max_precond_dim=2,
        merge_dims=False, graft="adam", graft_b2=0.9, graft_eps=1e-3, **MU32, **MASKED).but(
        **WHOLE, keeps_sharding=False).per(
        papers.shampoo, b3=None, eps=1e-3, start_step=None, graft_b2=None, graft_eps=None, mu_dtype=None,
        max_precond_dim=3,
        weight_decay_mask=None),
]
VARIANTS = [
    opt("shampoo", LR, merge_dims=False).per(papers.shampoo, eps=1e-6),
    opt("shampoo", LR, b2=0.9, eps=1e-6, merge_dims=False, max_precond_dim=4, precondition_frequency=3).per(
        papers.shampoo),
]
# fmt: on
