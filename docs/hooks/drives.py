"""How each optimizer is called where the site needs an instance: arguments, and what `update` asks for."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp

import gradchain as gc

from .public import optimizers

NOT_TRANSFORMATIONS = {"nnls"}
"""Functions of `optimizers` that return no pair."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9},
    "dpsgd": {"l2_norm_clip": 1.0, "noise_multiplier": 0.5, "seed": 0},
}
"""Arguments of a typical call, beside the learning rate."""


def typical(name: str, learning_rate: Any = 1e-3, **more: Any) -> Any:
    """An optimizer with its defaults, and the rate where it takes one."""
    factory = optimizers()[name]
    call = ARGUMENTS.get(name, {}) | more
    if "learning_rate" in inspect.signature(factory).parameters:
        call = {"learning_rate": learning_rate} | call
    return factory(**call)


def memory(name: str, dtype: Any) -> float:
    """Bytes of the state for a parameter, of a matrix of 512 x 512 and a bias of 512."""
    params = {"w": jax.ShapeDtypeStruct((512, 512), dtype), "b": jax.ShapeDtypeStruct((512,), dtype)}
    count = sum(p.size for p in params.values())
    return gc.memory(typical(name), params).total / count


def call_text(name: str) -> str:
    """The call that `memory` measures, as code."""
    return repr(typical(name)).replace("learning_rate=0.001", "1e-3") if name else ""


def extra(loss: Any, params: Any) -> dict[str, Any]:
    """Whatever an `update` may ask for at these parameters."""
    value, grad = jax.value_and_grad(loss)(params)
    return {"value": value, "grad": grad, "value_fn": loss, "obj_fn": loss}


__all__ = ["ARGUMENTS", "NOT_TRANSFORMATIONS", "call_text", "extra", "jnp", "memory", "typical"]
