"""Writes `torch_states.json`: states of PyTorch's optimizers after some steps, and where ten more lead.

Run with torch installed (`pip install torch==2.14.1`): `python tests/references/make_torch_states.py`.
The optimizers, their arguments and gradchain's words for them are those of `make_torch.py`, without those
that `from_pytorch` does not know or that need a link more; Muon is added. The tests read only the file, so
they need no torch.
"""

import json
from pathlib import Path
from typing import Any

from make_torch import CASES, Case, lines, problem

BEFORE, AFTER = 5, 10
FILE = Path(__file__).with_name("torch_states.json")

LEFT_OUT = "Rprop", "Adafactor", "ASGD"
STATES = [case for case in CASES if case.torch not in LEFT_OUT and "maximize" not in case.arguments] + [
    Case(
        "muon",
        "Muon",
        {"lr": 0.02, "weight_decay": 0.1},
        "muon(0.02, eps=1e-7, weight_decay=0.1, ns_dtype='bfloat16')",
        "PyTorch does not debias its average; gradchain does, up to a count where no bias is left. "
        "Both iterate in bfloat16, rounding in another order.",
    )
]


def plain(value: Any) -> Any:
    """A `state_dict` in terms of JSON."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def record(case: Case, params: dict[str, Any], grads: list[dict[str, Any]]) -> dict[str, Any]:
    """The state and parameters after some steps, and after each of the ten more, with the last state."""
    import torch

    tensors = {k: torch.tensor(v, dtype=torch.float64) for k, v in params.items()}
    if case.torch == "Muon":
        tensors = {k: tensor for k, tensor in tensors.items() if tensor.ndim == 2}
    optimizer = getattr(torch.optim, case.torch)(list(tensors.items()), **case.arguments)
    visited: list[Any] = []
    states: list[Any] = []
    for step, grad in enumerate(grads[: BEFORE + AFTER]):
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grad[name], dtype=torch.float64)
        optimizer.step()
        if step + 1 in (BEFORE, BEFORE + AFTER):
            states.append(plain(optimizer.state_dict()))
        visited.append(plain(tensors))
    return {"state": states[0], "trajectory": visited[BEFORE - 1 :], "last": states[1]}


def main() -> None:
    """Writes the file."""
    import torch

    torch.set_default_dtype(torch.float64)  # NAdam keeps its product of momenta in this
    params, grads = problem()
    cases = [
        json.dumps(case._asdict())[:-1]
        + ", "
        + ",\n".join(
            f'"{key}": ' + (lines(x) if isinstance(x, list) else json.dumps(x))
            for key, x in record(case, params, grads).items()
        )
        + "}"
        for case in STATES
    ]
    FILE.write_text(
        f'{{"torch": "{torch.__version__.partition("+")[0]}",\n'
        f'"grads": {lines(grads[BEFORE : BEFORE + AFTER])},\n"cases": [\n' + ",\n".join(cases) + "\n]}\n"
    )


if __name__ == "__main__":
    main()
