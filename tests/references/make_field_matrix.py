"""Writes `field_matrix.json`: what packages' optimizers of matrices do, in float64; see `make_field.py`.

KL-Shampoo and KL-SOAP: the authors' `optim/kl_opt.py` (yorkerlin/KL-Methods, 4cb97e0), to be put on the
path without its `torch.compile`; `cast_dtype` makes it compute in float64. Muon's packages iterate in
bfloat16. That cast is switched off here, so that the same steps come out in float64 and can be compared to
all digits.
"""

from pathlib import Path
from typing import Any

from make_field import BETAS, PO, Case, arguments_of, optimizer_of, write

FILE = Path(__file__).with_name("field_matrix.json")
LR = {"lr": 0.01}
TORCH = "torch.optim"
KL = "kl_opt"
ADAM = "adam_learning_rate=0.003, adam_b1=0.8, adam_b2=0.95"
ADAMW = {"adamw_lr": 0.003, "adamw_betas": BETAS}

CASES = [
    Case(
        "soap",
        PO,
        "SOAP",
        {"lr": 0.01, "betas": BETAS, "precondition_frequency": 1},
        "soap(0.01, 0.8, 0.95, precondition_frequency=1)",
        "The package takes the QR decomposition in float32.",
        1e-6,
    ),
    Case(
        "soap_every_third",
        PO,
        "SOAP",
        {**LR, "betas": BETAS, "shampoo_beta": 0.9, "precondition_frequency": 3, "max_precondition_dim": 2},
        "soap(0.01, 0.8, 0.95, 0.9, precondition_frequency=3, max_precond_dim=2)",
        "The package takes the QR decomposition in float32. One side of the matrix has a basis.",
        1e-6,
    ),
    Case(
        "soap_without_correction",
        PO,
        "SOAP",
        {"lr": 0.01, "correct_bias": False, "weight_decay": 0.1, "precondition_frequency": 20},
        "soap(0.01, weight_decay=0.1, correct_bias=False, precondition_frequency=20)",
    ),
    Case(
        "kl_shampoo",
        KL,
        "KLOpt",
        {**LR, "betas": [0.8, 0.9], "precondition_frequency": 3, "weight_decay": 0.1},
        "groups({'matrix': kl_shampoo(0.01, 0.8, 0.9, weight_decay=0.1, precondition_frequency=3)}, "
        "'freeze')",
        "The authors' code takes matrices only.",
    ),
    Case(
        "kl_soap",
        KL,
        "KLOpt",
        {**LR, "shampoo_beta": 0.9, "precondition_frequency": 2, "using_klsoap": True, "init_factor": 0.5},
        "groups({'matrix': kl_soap(0.01, shampoo_beta=0.9, precondition_frequency=2, init_factor=0.5)}, "
        "'freeze')",
        "The authors' code takes matrices only.",
    ),
    Case(
        "muon_pytorch",
        TORCH,
        "Muon",
        {**LR, "momentum": 0.9},
        "groups({'matrix': muon(0.01, beta=0.9, weight_decay=0.1, eps=1e-12, debias=False)}, 'freeze')",
        "PyTorch's Muon takes matrices only. It bounds the norm from below where others add eps.",
    ),
    Case(
        "muon_pytorch_match_rms",
        TORCH,
        "Muon",
        {**LR, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
        "groups({'matrix': muon(0.01, eps=1e-12, nesterov=False, debias=False, "
        "scaling='match_rms_adamw')}, 'freeze')",
    ),
    Case(
        "muon_jordan",
        PO,
        "Muon",
        {**LR, "weight_decay": 0.1, **ADAMW},
        "groups({'matrix': muon(0.01, weight_decay=0.1, debias=False, eps=1e-12)}, "
        "adam(0.003, 0.8, 0.95, 1e-10))",
        "muon itself gives vectors and scalars to Adam with Nesterov momentum, as Optax does.",
    ),
    Case(
        "normuon",
        PO,
        "NorMuon",
        {**LR, "momentum": 0.9, "beta2": 0.8, "weight_decay": 0.1, **ADAMW},
        f"normuon(0.01, 0.9, 0.8, weight_decay=0.1, {ADAM})",
        "The package bounds the norm from below by 1e-7, which the authors and gradchain add.",
        1e-6,
    ),
    Case(
        "adamuon",
        PO,
        "AdaMuon",
        {**LR, "betas": [0.9, 0.8], "weight_decay": 0.1, "eps": 1e-10, "use_adjusted_lr": False, **ADAMW},
        "adamuon(0.01, 0.9, 0.8, 1e-10, 0.1, rms=3**-0.5, sign=False, correct_bias=True, nesterov=False, "
        f"{ADAM})",
        "The first version of the paper: no signs, and a scale of its own, here "
        "sqrt(2) = sqrt(6 / 3). The norm: as for NorMuon.",
        1e-6,
    ),
]


def make(case: Case, tensors: dict[str, Any]) -> Any:
    """The package's optimizer; of those with two rules, Muon's for the matrix and Adam's for the rest."""
    matrix, *rest = tensors.values()
    if case.package == TORCH:
        return optimizer_of(case, [matrix])
    if case.package == KL:
        import torch
        from kl_opt import KLOpt

        return KLOpt([matrix], cast_dtype=torch.float64, **arguments_of(case))
    if case.optimizer in ("Muon", "NorMuon", "AdaMuon"):
        groups = [{"params": [matrix], "use_muon": True}, {"params": rest, "use_muon": False}]
        return optimizer_of(case, groups)
    return optimizer_of(case, tensors)


def main() -> None:
    """Writes the file."""
    import torch
    from pytorch_optimizer.optimizer.muon import adamuon

    torch.Tensor.bfloat16 = torch.Tensor.clone  # type: ignore[method-assign]
    iteration = adamuon.zero_power_via_newton_schulz_5
    iteration.__defaults__ = (*iteration.__defaults__[:-1], torch.float64)  # its last default is the dtype
    write(FILE, CASES, make=make)


if __name__ == "__main__":
    main()
