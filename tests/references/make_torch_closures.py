"""Writes `torch_closures.json`: steps of PyTorch's LBFGS without a line search, and Muon's first step.

Run with torch installed (`pip install torch==2.13.0`): `python tests/references/make_torch_closures.py`.
The tests read only the file. Conventions: LBFGS scales its first step by min(1, 1 / |g|_1), gradchain (as
Optax) by min(1, 1 / |g|_2): they coincide where both norms are at most 1, as here. Muon iterates in
bfloat16, and does not correct the bias of its momentum, so that only first steps agree, to 2%.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

STEPS = 16  # later ones are so short that PyTorch leaves their pairs out
CURVATURES = [0.02 * (i + 1) for i in range(6)]
FILE = Path(__file__).with_name("torch_closures.json")


def lbfgs(start: list[float]) -> list[list[float]]:
    """Steps down sum_i c_i x_i^2 / 2 + x_i^4 / 100, in float64."""
    import torch

    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    c = torch.tensor(CURVATURES, dtype=torch.float64)
    optimizer = torch.optim.LBFGS([x], lr=0.5, max_iter=1, history_size=4)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = torch.sum(c * x**2 / 2 + x**4 / 100)
        loss.backward()
        return loss

    visited = []
    for _ in range(STEPS):
        optimizer.step(closure)
        visited.append(x.detach().tolist())
    return visited


def muon(grad: list[list[float]]) -> list[list[float]]:
    """The first step from zeros, in float32."""
    import torch

    w = torch.nn.Parameter(torch.zeros(len(grad), len(grad[0])))
    w.grad = torch.tensor(grad)
    torch.optim.Muon([w], lr=0.1, weight_decay=0.0).step()
    return w.detach().tolist()


def main() -> None:
    """Writes the file."""
    import torch

    random = Random(0)
    start = [random.gauss(0, 1) for _ in CURVATURES]
    grad = [[random.gauss(0, 1) for _ in range(4)] for _ in range(4)]
    found = {
        "torch": torch.__version__.partition("+")[0],
        "curvatures": CURVATURES,
        "start": start,
        "lbfgs": lbfgs(start),
        "grad": grad,
        "muon": muon(grad),
    }
    FILE.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
