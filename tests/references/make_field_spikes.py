"""Writes `field_spikes.json`: optimizers that withstand spikes.

Run with the packages installed (`pip install torch`, and `pytorch_optimizer` with `--no-deps`):
`python tests/references/make_field_spikes.py`. See `make_field.py`.
"""

from pathlib import Path

from make_field import BETAS, PO, Case, write

FILE = Path(__file__).with_name("field_spikes.json")

CASES = [
    Case(
        "stable_adamw",
        PO,
        "StableAdamW",
        {"lr": 0.01, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.1},
        "stable_adamw(0.01, 0.8, 0.95, 1e-3, weight_decay=0.1)",
    ),
    Case(
        "stable_adamw_without_decay",
        PO,
        "StableAdamW",
        {"lr": 0.01, "betas": [0.9, 0.6], "weight_decay": 0.0},
        "stable_adamw(0.01, 0.9, 0.6, 1e-8, weight_decay=0)",
    ),
    Case(
        "adagc_warming_up",
        PO,
        "AdaGC",
        {"lr": 0.01, "betas": BETAS, "weight_decay": 0.1, "lambda_abs": 0.5},
        "chain(adagc(lambda_abs=0.5), adamw(0.01, 0.8, 0.95, weight_decay=0.1))",
        "The package shrinks the parameters before the step: the same. To the norm it adds 1e-8.",
        5e-7,
    ),
    Case(
        "adagc",
        PO,
        "AdaGC",
        {
            "lr": 0.01,
            "betas": BETAS,
            "weight_decay": 0.0,
            "beta": 0.7,
            "lambda_rel": 0.9,
            "warmup_steps": 4,
        },
        "chain(adagc(0.7, lambda_rel=0.9, warmup_steps=4), adam(0.01, 0.8, 0.95))",
        "As before.",
        5e-7,
    ),
]

if __name__ == "__main__":
    write(FILE, CASES)
