"""How each optimizer is called where the site needs an instance: arguments, and what `update` asks for."""

import inspect
from typing import Any

import jax
import numpy as np

import gradchain as gc

from .public import optimizers

NOT_TRANSFORMATIONS = {"nnls"}
"""Functions of `optimizers` that return no pair."""

ON_MATRICES = {
    *("adamuon", "dion", "dion2", "kl_shampoo", "kl_soap", "mars", "muon", "normuon"),
    *("psgd_kron", "scion", "shampoo", "soap"),
}
"""Here the numbers of a landscape are the diagonal of a 2 x 2 matrix: up to signs, its singular values."""

PER_EXAMPLE = {"dpsgd"}
"""Their `update` takes gradients with one more axis."""

AT_DEFAULT = {"cocob", "dadapt_adamw", "dog", "dowg", "lbfgs", "prodigy"}
"""They find the rate by themselves."""

STEPS = 60
"""How long a walk is."""

LAST = 10
"""The rate is chosen by the mean height over this many last steps."""

RATES = np.round(np.logspace(-4, 3, 43), 12)
"""The learning rates that are tried."""

MORE_STEPS = {"dadapt_adamw": 600, "dog": 600, "dowg": 600, "prodigy": 600}
"""How long the walks are of those whose estimate of the rate begins at a millionth or so."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9},
    "dpsgd": {"l2_norm_clip": 1.0, "noise_multiplier": 0.5, "seed": 0},
}
"""Arguments of a typical call, beside the learning rate."""


def typical(name: str, learning_rate: Any = None, **more: Any) -> Any:
    """An optimizer with its defaults, and with a rate if it is given or needed."""
    factory = optimizers()[name]
    declared = inspect.signature(factory).parameters.get("learning_rate")
    if learning_rate is None and declared is not None and declared.default is declared.empty:
        learning_rate = 1e-3
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    return factory(**rate, **ARGUMENTS.get(name, {}), **more)


def steps_of(name: str) -> int:
    """How many steps a walk of this optimizer has."""
    return MORE_STEPS.get(name, STEPS)


def to_watch(name: str, learning_rate: Any) -> Any:
    """An optimizer for a picture: without weight decay, which would pull towards a minimum at zero."""
    has_decay = "weight_decay" in inspect.signature(optimizers()[name]).parameters
    return typical(name, learning_rate, **({"weight_decay": 0.0} if has_decay else {}))


def memory(name: str, dtype: Any) -> float:
    """Bytes of the state for a parameter, of a matrix of 512 x 512 and a bias of 512."""
    params = {"w": jax.ShapeDtypeStruct((512, 512), dtype), "b": jax.ShapeDtypeStruct((512,), dtype)}
    count = sum(p.size for p in params.values())
    return gc.memory(typical(name), params).total / count


def call_text(name: str) -> str:
    """The call that `memory` measures, as code."""
    return repr(typical(name))


def extra(loss: Any, params: Any) -> dict[str, Any]:
    """Whatever an `update` may ask for at these parameters."""
    value, grad = jax.value_and_grad(loss)(params)
    return {"value": value, "grad": grad, "value_fn": loss, "obj_fn": loss}
