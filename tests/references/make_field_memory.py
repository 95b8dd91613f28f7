"""Writes `field_memory.json`: optimizers that save memory, withstand spikes or see curvature, as packages have them.

Run with the packages installed (`pip install torch pytorch_optimizer`):
`python tests/references/make_field_memory.py`. See `make_field.py`.
"""

from pathlib import Path

from make_field import PO, Case, write

FILE = Path(__file__).with_name("field_memory.json")

CASES = [
    Case(
        "came",
        PO,
        "CAME",
        {"lr": 0.01, "betas": [0.8, 0.95, 0.99], "weight_decay": 0.1},
        "came(0.01, 0.8, 0.95, 0.99, weight_decay=0.1)",
    ),
    Case(
        "came_clipped",
        PO,
        "CAME",
        {"lr": 0.01, "eps1": 1e-3, "eps2": 1e-2, "clip_threshold": 0.5},
        "came(0.01, eps1=1e-3, eps2=1e-2, clip_threshold=0.5)",
    ),
]

if __name__ == "__main__":
    write(FILE, CASES)
