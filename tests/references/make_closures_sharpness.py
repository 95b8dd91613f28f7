"""Writes `closures_sharpness.json`: what pytorch_optimizer's SAM and its relatives do, in float64.

`python tests/references/make_closures_sharpness.py`. They ask for gradients where they have climbed: those
of step t at q are `grads[t] + sin(3 q)`. The optimizer inside is SGD with momentum 0.9 and the rate 0.05.
"""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from make_torch import lines, problem

FILE = Path(__file__).with_name("closures_sharpness.json")
STEPS = 10
SGD = {"lr": 0.05, "momentum": 0.9}
INNER = "sgd(0.05, 0.9)"
CASES: list[dict[str, Any]] = [
    {
        "name": "asam",
        "optimizer": "SAM",
        "arguments": {"rho": 0.3, "adaptive": True},
        "gradchain": f"asam({INNER}, 0.3, 0.0, True)",
        "arrays": [["matrix", "vector", "scalar"]],
    },
    {
        "name": "gsam",
        "optimizer": "GSAM",
        "arguments": {"alpha": 0.4},
        "gradchain": f"gsam({INNER}, 0.2, 0.4)",
        "arrays": [["matrix", "vector", "scalar"]],
    },
    {
        "name": "looksam",
        "optimizer": "LookSAM",
        "arguments": {"rho": 0.2, "k": 3, "alpha": 0.7},
        "gradchain": f"looksam({INNER}, 0.2, 3, 0.7)",
        "arrays": [["matrix"], ["vector"]],  # the package takes each array for itself, the paper all as one
    },
]


def made(case: dict[str, Any], tensors: list[Any]) -> Any:
    """The package's optimizer."""
    import pytorch_optimizer
    import torch

    factory = getattr(pytorch_optimizer, case["optimizer"])
    if case["optimizer"] != "GSAM":
        return factory(tensors, torch.optim.SGD, **case["arguments"], **SGD)
    constant = type("Constant", (), {"step": lambda self: 0.2})()
    inner, model = torch.optim.SGD(tensors, **SGD), torch.nn.Module()
    return factory(tensors, inner, model, constant, **case["arguments"])


def trajectory(
    case: dict[str, Any], names: list[str], params: dict[str, Any], grads: list[dict[str, Any]]
) -> list[Any]:
    """The parameters after each step."""
    import torch

    tensors = {k: torch.nn.Parameter(torch.tensor(params[k])) for k in names}
    optimizer = made(case, list(tensors.values()))
    visited = []
    for grad in grads:

        def closure(grad: dict[str, Any] = grad) -> Any:
            for name, tensor in tensors.items():
                tensor.grad = torch.tensor(grad[name]) + torch.sin(3 * tensor.detach())
            return None, torch.zeros(())

        closure()
        optimizer.step(closure)
        visited.append({k: x.tolist() for k, x in tensors.items()})
    return visited


if __name__ == "__main__":
    import torch

    torch.set_default_dtype(torch.float64)
    params, grads = problem()
    grads = grads[:STEPS]
    versions = {n: importlib.metadata.version(n).partition("+")[0] for n in ("pytorch_optimizer", "torch")}
    texts = []
    for case in CASES:
        runs = [lines(trajectory(case, names, params, grads)) for names in case["arrays"]]
        texts.append(json.dumps(case)[:-1] + ', "trajectories": [' + ",\n".join(runs) + "]}")
    FILE.write_text(
        f'{{"versions": {json.dumps(versions)},\n"params": {json.dumps(params)},\n'
        f'"grads": {lines(grads)},\n"cases": [\n' + ",\n".join(texts) + "\n]}\n"
    )
