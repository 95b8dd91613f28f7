"""Writes `torch.json`: what PyTorch's optimizers do, in float64, for the tests to compare with.

Run with torch installed (`pip install torch==2.14.1`): `python tests/references/make_torch.py`.
The table `CASES` says which arguments of gradchain coincide with which of PyTorch's, and where the
two libraries' conventions differ. The tests read only the file, so they need no torch.
"""

import inspect
import json
from collections.abc import Collection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

STEPS = 20
SHAPES: dict[str, tuple[int, ...]] = {"matrix": (3, 2), "vector": (4,), "scalar": ()}
FILE = Path(__file__).with_name("torch.json")


class Case(NamedTuple):
    """One of PyTorch's optimizers, and gradchain's words for it."""

    name: str
    torch: str  # the class in torch.optim
    arguments: dict[str, Any]  # of that class
    gradchain: str  # an expression over gradchain's public names
    note: str = ""  # the convention that differs, if one does


CASES = [
    Case("sgd", "SGD", {"lr": 0.05}, "sgd(0.05)"),
    Case("sgd_momentum", "SGD", {"lr": 0.05, "momentum": 0.9}, "sgd(0.05, 0.9)"),
    Case(
        "sgd_nesterov",
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
        "sgd(0.05, 0.9, nesterov=True)",
    ),
    Case(
        "sgd_l2",
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
        "chain(add_decayed_weights(0.1), sgd(0.05, 0.9))",
        "PyTorch's weight_decay is an L2 penalty, added to the gradient before the rule; "
        "gradchain's argument of that name decays the parameters themselves. The penalty is "
        "a link of its own.",
    ),
    Case(
        "adagrad",
        "Adagrad",
        {"lr": 0.1, "eps": 0.0},
        "adagrad(0.1, initial_accumulator_value=0.0, eps=0.0)",
        "PyTorch's sum starts at 0 and eps is added outside the root, gradchain's (as Optax's and "
        "Keras's) at 0.1 and inside. They coincide for eps = 0.",
    ),
    Case(
        "adagrad_initial",
        "Adagrad",
        {"lr": 0.1, "eps": 0.0, "initial_accumulator_value": 0.1},
        "adagrad(0.1, eps=0.0)",
    ),
    Case(
        "rmsprop",
        "RMSprop",
        {"lr": 0.01},
        "rmsprop(0.01, decay=0.99, eps_in_sqrt=False)",
        "PyTorch adds eps outside the root and calls decay alpha, 0.99 by default (gradchain, as "
        "Optax: inside, 0.9).",
    ),
    Case(
        "rmsprop_centered",
        "RMSprop",
        {"lr": 0.01, "centered": True},
        "rmsprop(0.01, decay=0.99, eps_in_sqrt=False, centered=True)",
    ),
    Case(
        "rmsprop_momentum",
        "RMSprop",
        {"lr": 0.01, "momentum": 0.9, "alpha": 0.9},
        "rmsprop(0.01, eps_in_sqrt=False, momentum=0.9)",
        "gradchain (as Optax) applies the learning rate before the momentum, PyTorch after it: the "
        "same for a constant rate. PyTorch's RMSprop has no Nesterov momentum.",
    ),
    Case(
        "adadelta",
        "Adadelta",
        {"lr": 0.5},
        "adadelta(0.5)",
        "PyTorch's default learning rate is 1; gradchain's (as Optax's) is None, which leaves out "
        "rate and sign.",
    ),
    Case(
        "sgd_maximize",
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "maximize": True},
        "chain(scale(-1.0), sgd(0.05, 0.9))",
        "The sign is a link of its own.",
    ),
    Case("asgd", "ASGD", {"lr": 0.05}, "asgd(0.05)"),
    Case(
        "adagrad_lr_decay",
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.2, "eps": 0.0},
        "adagrad(lambda count: 0.1 / (1 + 0.2 * count), initial_accumulator_value=0.0, eps=0.0)",
        "lr_decay is a schedule of the learning rate; count begins at 0.",
    ),
    Case("adam", "Adam", {"lr": 0.01}, "adam(0.01)"),
    Case(
        "adam_large_eps",
        "Adam",
        {"lr": 0.01, "betas": [0.8, 0.95], "eps": 0.1},
        "adam(0.01, b1=0.8, b2=0.95, eps=0.1)",
    ),
    Case(
        "adam_l2",
        "Adam",
        {"lr": 0.01, "weight_decay": 0.1},
        "chain(add_decayed_weights(0.1), adam(0.01))",
        "As sgd_l2.",
    ),
    Case(
        "adamw",
        "AdamW",
        {"lr": 0.01, "weight_decay": 0.1},
        "adamw(0.01, weight_decay=0.1)",
        "The same rule; the default weight_decay is 0.01 in PyTorch, 0.0001 in gradchain.",
    ),
    Case(
        "adamw_amsgrad",
        "AdamW",
        {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True},
        "amsgrad(0.01, correct_after_max=True, weight_decay=0.1)",
        "As amsgrad.",
    ),
    Case("adamax", "Adamax", {"lr": 0.01}, "adamax(0.01)"),
    Case(
        "nadam",
        "NAdam",
        {"lr": 0.01, "momentum_decay": 1e6},
        "nadam(0.01)",
        "PyTorch warms its momentum up, mu_t = b1 (1 - 0.96^(t momentum_decay) / 2), with "
        "momentum_decay 0.004; gradchain, Optax and Dozat's simpler form hold mu = b1. They "
        "coincide where momentum_decay is so large that the power vanishes (not at 0, where "
        "mu = b1 / 2).",
    ),
    Case(
        "amsgrad",
        "Adam",
        {"lr": 0.01, "amsgrad": True},
        "amsgrad(0.01, correct_after_max=True)",
        "PyTorch takes the maximum of v and corrects its bias afterwards; gradchain's default (as "
        "Optax's) corrects v first. correct_after_max=True is PyTorch's order.",
    ),
    Case(
        "radam",
        "RAdam",
        {"lr": 0.01, "eps": 0.0},
        "radam(0.01, eps=0.0)",
        "PyTorch adds eps to sqrt(v) before the bias correction, gradchain (as Optax and the paper's "
        "Adam) after it. They coincide for eps = 0.",
    ),
    Case(
        "radam_eps",
        "RAdam",
        {"lr": 0.01, "eps": 0.01},
        "radam(0.01, eps=lambda count: 0.01 / (1 - 0.999 ** (count + 1)) ** 0.5)",
        "PyTorch's eps is gradchain's times the root of the bias correction: a schedule says so.",
    ),
    Case(
        "rprop",
        "Rprop",
        {"lr": 0.01},
        "rprop(0.01, delayed=False)",
        "gradchain's default (as Optax's) takes every step one step late; delayed=False does not.",
    ),
    Case(
        "rprop_etas",
        "Rprop",
        {"lr": 0.1, "etas": [0.3, 1.5], "step_sizes": [0.05, 0.4]},
        "rprop(0.1, 0.3, 1.5, 0.05, 0.4, delayed=False)",
    ),
    Case(
        "adafactor",
        "Adafactor",
        {"lr": 0.01},
        "adafactor(0.01, min_dim_size_to_factor=1)",
        "PyTorch factors every matrix, gradchain (as Optax) those of which two dimensions have at "
        "least min_dim_size_to_factor = 128 entries. PyTorch's rate is min(lr, 1 / sqrt(t)): here lr "
        "is the smaller. It bounds mean squares below by eps where gradchain adds 1e-30 to squares.",
    ),
    Case(
        "adafactor_decay",
        "Adafactor",
        {"lr": 0.01, "beta2_decay": -0.5, "d": 1.2, "weight_decay": 0.1},
        "adafactor(0.01, 1, 0.5, clipping_threshold=1.2, weight_decay=0.1)",
        "PyTorch's weight_decay is multiplied by lr, as gradchain's of that name; gradchain's and "
        "Optax's weight_decay_rate is not.",
    ),
]


def fill(shape: tuple[int, ...], number: Any) -> Any:
    """Nested lists of `shape` of what `number()` returns."""
    return [fill(shape[1:], number) for _ in range(shape[0])] if shape else number()


def problem() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Parameters, and a gradient for each step: of sizes 0.001 to 100, some later ones zero."""
    random = Random(0)

    def gradient(step: int) -> float:
        if step > 4 and random.random() < 0.1:
            return 0.0
        return random.gauss(0.3, 1) * 10 ** random.uniform(-3, 2)

    params = {name: fill(shape, lambda: random.gauss(0, 1)) for name, shape in SHAPES.items()}
    grads = [
        {name: fill(shape, lambda step=step: gradient(step)) for name, shape in SHAPES.items()}
        for step in range(STEPS)
    ]
    return params, grads


def trajectory(case: Case, params: dict[str, Any], grads: list[dict[str, Any]]) -> list[Any]:
    """The parameters after each step."""
    import torch

    tensors = {k: torch.tensor(v, dtype=torch.float64) for k, v in params.items()}
    optimizer = getattr(torch.optim, case.torch)(list(tensors.values()), **case.arguments)
    visited = []
    for grad in grads:
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grad[name], dtype=torch.float64)
        optimizer.step()
        visited.append({name: tensor.tolist() for name, tensor in tensors.items()})
    return visited


SHOWN = [
    "SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD",
    "Adafactor", "LBFGS", "SparseAdam", "Muon",
]  # fmt: skip
"""The classes on the page `docs/from/pytorch.md`."""


def defaults(module: Any, names: list[str], without: Collection[str]) -> dict[str, dict[str, str]]:
    """The arguments of classes, each with its default as code."""
    return {
        name: {
            argument: "" if parameter.default is parameter.empty else repr(parameter.default)
            for argument, parameter in inspect.signature(getattr(module, name)).parameters.items()
            if argument not in without
        }
        for name in names
    }


def lines(steps: list[Any]) -> str:
    """JSON with one step per line."""
    return "[\n" + ",\n".join(json.dumps(step) for step in steps) + "\n]"


def main() -> None:
    """Writes the file."""
    import torch

    torch.set_default_dtype(torch.float64)  # NAdam keeps its product of momenta in this
    params, grads = problem()
    cases = [
        json.dumps(case._asdict())[:-1] + ', "trajectory": ' + lines(trajectory(case, params, grads)) + "}"
        for case in CASES
    ]
    FILE.write_text(
        f'{{"torch": "{torch.__version__.partition("+")[0]}",\n"defaults": '
        f'{json.dumps(defaults(torch.optim, SHOWN, {"params"}))},\n"params": {json.dumps(params)},\n'
        f'"grads": {lines(grads)},\n"cases": [\n' + ",\n".join(cases) + "\n]}\n"
    )


if __name__ == "__main__":
    main()
