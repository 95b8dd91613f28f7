"""Rows of PSGD Kron, which Optax lacks."""

from table import LR, MASKED, MU32, WHOLE, opt, row

# fmt: off
CASES = [
    row("scale_by_kron", precond_update_probability=0.6, key=1).but(**WHOLE),
    opt("psgd_kron", LR, 0.8, precond_lr=0.2, precond_update_probability=0.6, precond_init_scale=0.5,
        max_size_triangular=3, memory_save_mode="one_diag", momentum_into_precond_update=False,
        balance_probability=0.5, clipping_threshold=0.9, key=3, merge_dims=2, **MU32, **MASKED),
]
# fmt: on
