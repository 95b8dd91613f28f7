"""Writes `field_matrix.json`: what packages' optimizers of matrices do, in float64; see `make_field.py`."""

from pathlib import Path

from make_field import BETAS, PO, Case, write

LR = {"lr": 0.01}
FILE = Path(__file__).with_name("field_matrix.json")

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
        {
            "lr": 0.01,
            "betas": BETAS,
            "shampoo_beta": 0.9,
            "precondition_frequency": 3,
            "max_precondition_dim": 2,
        },
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
]


if __name__ == "__main__":
    write(FILE, CASES)
