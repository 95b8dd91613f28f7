"""Writes `torch_losses.json`: PyTorch's losses and their gradients, in float64, to compare with.

Run with torch installed (`pip install torch==2.13.0`): `python tests/references/make_torch_losses.py`.
`CASES` says in both libraries' words what is computed of which inputs. The tests read only the file.
"""

import json
import math
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("torch_losses.json")


class Case(NamedTuple):
    """One loss, in PyTorch's words (F is torch.nn.functional) and in gradchain's."""

    name: str
    by: str  # the input a gradient is taken of
    torch: str
    gradchain: str
    note: str = ""  # the convention that differs, if one does


CTC = "F.ctc_loss(frames.log_softmax(-1).transpose(0, 1), {}, {}, {}, reduction='none'{})"
OURS = "ctc_loss(frames, {}, {}, {}{})"
CASES = [
    Case("huber", "x", "F.huber_loss(x, y, reduction='none', delta=0.7)", "huber_loss(x, y, delta=0.7)"),
    Case("mse", "x", "F.mse_loss(x, y, reduction='none')", "squared_error(x, y)"),
    Case("kl_div", "log_q", "F.kl_div(log_q, p, reduction='none').sum(-1)", "kl_divergence(log_q, p)"),
    Case(
        "kl_div_log_target",
        "log_q",
        "F.kl_div(log_q, log_p, reduction='none', log_target=True).sum(-1)",
        "kl_divergence_with_log_targets(log_q, log_p)",
    ),
    Case(
        "triplet",
        "x",
        "F.triplet_margin_loss(x, y, z, margin=0.5, eps=0.0, reduction='none')",
        "triplet_margin_loss(x, y, z, margin=0.5, eps=0.0)",
        "PyTorch adds eps to the differences, gradchain (as Optax) to the sum of their powers.",
    ),
    Case(
        "triplet_cubes",
        "x",
        "F.triplet_margin_loss(x, y, z, margin=3.0, p=3, eps=0.0, reduction='none')",
        "triplet_margin_loss(x, y, z, margin=3.0, norm_degree=3, eps=0.0)",
    ),
    Case("cosine", "x", "F.cosine_similarity(x, y, dim=-1)", "cosine_similarity(x, y)"),
    Case(
        "binary",
        "x",
        "F.binary_cross_entropy_with_logits(x, p, reduction='none')",
        "sigmoid_binary_cross_entropy(x, p)",
    ),
    Case("cross_entropy", "x", "F.cross_entropy(x, p, reduction='none')", "softmax_cross_entropy(x, p)"),
    Case(
        "cross_entropy_of_classes",
        "x",
        "F.cross_entropy(x, index, reduction='none')",
        "softmax_cross_entropy_with_integer_labels(x, index)",
    ),
    Case(
        "label_smoothing",
        "x",
        "F.cross_entropy(x, index, reduction='none', label_smoothing=0.2)",
        "softmax_cross_entropy(x, smooth_labels(one_hot, 0.2))",
    ),
    Case(
        "ignored_labels",
        "x",
        "F.cross_entropy(x, holes, reduction='none')",
        "softmax_cross_entropy_with_integer_labels(x, holes, where=kept)",
        "PyTorch leaves label -100 out, gradchain what `where` masks.",
    ),
    Case(
        "ctc",
        "frames",
        CTC.format("labels", "times", "lengths", ""),
        OURS.format("paddings", "labels", "label_paddings", ""),
    ),
    Case(
        "ctc_blank",
        "frames",
        CTC.format("labels_and_0", "times", "lengths", ", blank=3"),
        OURS.format("paddings", "labels_and_0", "label_paddings", ", blank_id=3"),
    ),
    Case(
        "ctc_impossible",
        "frames",
        CTC.format("labels", "short", "lengths", ", zero_infinity=False"),
        OURS.format("short_paddings", "labels", "label_paddings", ", log_epsilon=-inf"),
        "PyTorch's gradient of a loss that is infinite is NaN, gradchain's is 0.",
    ),
]


def problem() -> dict[str, Any]:
    """The inputs."""
    random = Random(1)

    def normal(*shape: int, scale: float = 1.0) -> Any:
        return (
            [normal(*shape[1:], scale=scale) for _ in range(shape[0])] if shape else random.gauss(0, scale)
        )

    def softmax(row: list[float]) -> list[float]:
        total = sum(math.exp(x) for x in row)
        return [math.exp(x) / total for x in row]

    index = [2, 0, 3]
    p = [[0.0, 1.0, 0.0, 0.0], softmax(normal(4)), [0.5, 0.0, 0.25, 0.25]]
    times, short, lengths = [8, 6, 7], [8, 3, 2], [3, 2, 3]
    return {
        "x": normal(3, 4),
        "y": normal(3, 4),
        "z": normal(3, 4),
        "p": p,
        "log_p": [[math.log(x) for x in softmax(row)] for row in normal(3, 4)],
        "log_q": [[math.log(x) for x in softmax(row)] for row in normal(3, 4)],
        "index": index,
        "one_hot": [[float(i == j) for j in range(4)] for i in index],
        "holes": [2, -100, 3],
        "kept": [True, False, True],
        "frames": normal(3, 8, 4, scale=2.0),
        "labels": [[1, 1, 2], [3, 2, 1], [2, 2, 2]],
        "labels_and_0": [[0, 0, 2], [2, 0, 1], [1, 2, 0]],
        "lengths": lengths,
        "times": times,
        "short": short,
        "paddings": [[float(t >= n) for t in range(8)] for n in times],
        "short_paddings": [[float(t >= n) for t in range(8)] for n in short],
        "label_paddings": [[float(i >= n) for i in range(3)] for n in lengths],
    }


def solution(case: Case, inputs: dict[str, Any]) -> dict[str, Any]:
    """PyTorch's values, and the gradient of their sum."""
    import torch

    words = {k: torch.tensor(v) for k, v in inputs.items()}
    words[case.by].requires_grad_()
    value = eval(case.torch, {"F": torch.nn.functional, **words})
    value.sum().backward()
    gradient = words[case.by].grad
    assert gradient is not None
    return {"value": value.tolist(), "gradient": gradient.tolist()}


def main() -> None:
    """Writes the file."""
    import torch

    torch.set_default_dtype(torch.float64)
    inputs = problem()
    cases = [json.dumps(case._asdict() | solution(case, inputs)) for case in CASES]
    FILE.write_text(
        f'{{"torch": "{torch.__version__.partition("+")[0]}",\n'
        f'"inputs": {json.dumps(inputs)},\n"cases": [\n' + ",\n".join(cases) + "\n]}\n"
    )


if __name__ == "__main__":
    main()
