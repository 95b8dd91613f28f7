"""Writes `keras.json`: what Keras's optimizers do, in float64, for the tests to compare with.

Run with Keras installed (`pip install keras==3.15.1`): `python tests/references/make_keras.py`. The
table `CASES` says which arguments of gradchain coincide with which of Keras's; `docs/from/keras.md`
shows it. The problem is PyTorch's (`make_torch.py`). The tests read only the file.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from make_torch import defaults, lines, problem

STEPS = 10
FILE = Path(__file__).with_name("keras.json")


class Case(NamedTuple):
    """One of Keras's optimizers, and gradchain's words for it."""

    name: str
    keras: str  # the class in keras.optimizers
    arguments: dict[str, Any]  # of that class
    gradchain: str  # an expression over gradchain's public names
    note: str = ""  # the convention that differs, if one does


EPS = "lambda count: 0.01 / (1 - 0.999 ** (count + 1)) ** 0.5"
"""Keras's epsilon of 0.01 in Adam, which it adds before the bias correction."""

CASES = [
    Case("sgd", "SGD", {"learning_rate": 0.05}, "sgd(0.05)"),
    Case("sgd_momentum", "SGD", {"learning_rate": 0.05, "momentum": 0.9}, "sgd(0.05, 0.9)"),
    Case(
        "sgd_nesterov",
        "SGD",
        {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
        "sgd(0.05, 0.9, nesterov=True)",
    ),
    Case(
        "sgd_decay",
        "SGD",
        {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.1},
        "sgd(0.05, 0.9, weight_decay=0.1)",
        "Both decay the parameters themselves, times the learning rate.",
    ),
    Case(
        "rmsprop",
        "RMSprop",
        {"learning_rate": 0.01, "rho": 0.9, "epsilon": 0.01},
        "rmsprop(0.01, decay=0.9, eps=0.01)",
        "rho is decay; both add eps inside the root.",
    ),
    Case(
        "rmsprop_centered",
        "RMSprop",
        {"learning_rate": 0.01, "momentum": 0.9, "centered": True, "epsilon": 0.01},
        "rmsprop(0.01, eps=0.01, momentum=0.9, centered=True)",
    ),
    Case(
        "adagrad",
        "Adagrad",
        {"learning_rate": 0.1, "initial_accumulator_value": 0.1, "epsilon": 0.01},
        "adagrad(0.1, 0.1, eps=0.01)",
    ),
    Case(
        "adadelta",
        "Adadelta",
        {"learning_rate": 1.0, "rho": 0.95, "epsilon": 0.01},
        "adadelta(1.0, rho=0.95, eps=0.01)",
        "Keras's default learning rate is 0.001, a thousandth of the paper's step.",
    ),
    Case(
        "adam",
        "Adam",
        {"learning_rate": 0.01, "epsilon": 0.01},
        f"adam(0.01, eps={EPS})",
        "Keras adds epsilon before the bias correction, gradchain (as the paper's algorithm) after it. "
        "A schedule says the same; for a small epsilon, the plain number differs in no digit that matters.",
    ),
    Case(
        "adam_amsgrad",
        "Adam",
        {"learning_rate": 0.01, "epsilon": 0.01, "amsgrad": True},
        f"amsgrad(0.01, correct_after_max=True, eps={EPS})",
        "As adam.",
    ),
    Case(
        "adamw",
        "AdamW",
        {"learning_rate": 0.01, "weight_decay": 0.1, "epsilon": 0.01},
        f"adamw(0.01, weight_decay=0.1, eps={EPS})",
        "As adam. The default weight_decay is 0.004 in Keras, 0.0001 in gradchain.",
    ),
    Case(
        "adamax",
        "Adamax",
        {"learning_rate": 0.01, "epsilon": 0.0},
        "adamax(0.01, eps=0.0)",
        "Keras adds epsilon to the largest size of a gradient, gradchain (as Optax) inside the maximum: "
        "the same for 0, and in no digit that matters for small ones.",
    ),
    Case(
        "ftrl",
        "Ftrl",
        {
            "learning_rate": 0.1,
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02,
            "beta": 1.0,
        },
        "ftrl(0.1, l1=0.01, l2=0.04, beta=1.0, keep_start=False)",
        "l2 is twice Keras's. Keras begins as if the parameters were 0.",
    ),
    Case(
        "lion",
        "Lion",
        {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.1},
        "lion(0.01, weight_decay=0.1)",
    ),
    Case("lamb", "Lamb", {"learning_rate": 0.01, "epsilon": 0.01}, "lamb(0.01, eps=0.01)"),
    Case(
        "adafactor",
        "Adafactor",
        {"learning_rate": 0.01},
        "adafactor(0.01, min_dim_size_to_factor=1)",
        "Keras factors every matrix, and takes min(learning_rate, 1 / sqrt(t)): here the rate is smaller.",
    ),
    Case("clipvalue", "SGD", {"learning_rate": 0.05, "clipvalue": 0.5}, "chain(clip(0.5), sgd(0.05))"),
    Case(
        "global_clipnorm",
        "SGD",
        {"learning_rate": 0.05, "global_clipnorm": 1.0},
        "chain(clip_by_global_norm(1.0), sgd(0.05))",
    ),
    Case(
        "gradient_accumulation_steps",
        "SGD",
        {"learning_rate": 0.05, "momentum": 0.9, "gradient_accumulation_steps": 2},
        "accumulate_gradients(sgd(0.05, 0.9), every_k=2, accumulator_dtype='float64')",
        "Both take the mean of the gradients. gradchain adds them up in float32 unless told otherwise.",
    ),
    Case(
        "inverse_time_decay",
        "SGD",
        {
            "learning_rate": {
                "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5}
            }
        },
        "sgd(lambda count: 0.1 / (1 + 0.5 * count))",
        "Any function of the count is a schedule. Both begin at count 0.",
    ),
    Case(
        "exponential_decay",
        "SGD",
        {
            "learning_rate": {
                "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}
            }
        },
        "sgd(exponential_decay(0.1, 3, 0.5))",
    ),
    Case(
        "cosine_decay",
        "SGD",
        {
            "learning_rate": {
                "CosineDecay": {
                    "initial_learning_rate": 0.0,
                    "decay_steps": 6,
                    "alpha": 0.1,
                    "warmup_target": 0.1,
                    "warmup_steps": 3,
                }
            }
        },
        "sgd(warmup_cosine_decay_schedule(0.0, 0.1, 3, 9, end_value=0.01))",
        "Keras counts decay_steps without the warm-up, gradchain (as Optax) with it; alpha is a share of "
        "the peak.",
    ),
]


SHOWN = [*dict.fromkeys(case.keras for case in CASES), "Nadam", "Muon"]
"""The classes on the page `docs/from/keras.md`."""


def optimizer(case: Case) -> Any:
    """The optimizer of a case; a learning rate given as {name: arguments} is a schedule."""
    import keras

    arguments = dict(case.arguments)
    if isinstance(rate := arguments["learning_rate"], dict):
        ((name, given),) = rate.items()
        arguments["learning_rate"] = getattr(keras.optimizers.schedules, name)(**given)
    return getattr(keras.optimizers, case.keras)(**arguments)


def trajectory(case: Case, params: dict[str, Any], grads: list[dict[str, Any]]) -> list[Any]:
    """The parameters after each step."""
    import keras
    import numpy as np

    variables = [keras.Variable(np.asarray(v), dtype="float64", name=k) for k, v in params.items()]
    taking = optimizer(case)
    taking.build(variables)
    visited = []
    for grad in grads[:STEPS]:
        taking.apply([keras.ops.convert_to_tensor(np.asarray(grad[k]), "float64") for k in params])
        visited.append({v.name: np.asarray(v).tolist() for v in variables})
    return visited


def main() -> None:
    """Writes the file."""
    os.environ |= {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}
    import keras

    keras.config.set_floatx("float64")
    params, grads = problem()
    cases = [
        json.dumps(case._asdict())[:-1] + ', "trajectory": ' + lines(trajectory(case, params, grads)) + "}"
        for case in CASES
    ]
    FILE.write_text(
        f'{{"keras": "{keras.__version__}",\n"defaults": '
        f"{json.dumps(defaults(keras.optimizers, SHOWN, {'name', 'kwargs'}))},\n"
        f'"params": {json.dumps(params)},\n'
        f'"grads": {lines(grads[:STEPS])},\n"cases": [\n' + ",\n".join(cases) + "\n]}\n"
    )


if __name__ == "__main__":
    main()
