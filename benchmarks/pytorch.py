"""PyTorch's step beside ours, where torch happens to be installed."""

import gc
import importlib.util
import math
import statistics
import time
from typing import Any

import jax

from .trees import Tree

FUSED, FOREACH = "pytorch fused", "pytorch foreach"
"""The columns: one kernel for the whole step where PyTorch has one, else one for each operation."""

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adagrad": ("Adagrad", {}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_centered": ("RMSprop", {"centered": True, "momentum": 0.9}),
    "adadelta": ("Adadelta", {}),
    "adamax": ("Adamax", {}),
    "nadam": ("NAdam", {}),
    "nadamw": ("NAdam", {"weight_decay": 1e-4, "decoupled_weight_decay": True}),
    "radam": ("RAdam", {}),
    "rprop": ("Rprop", {}),
}
"""Our name to PyTorch's class and arguments."""

HAVE_FUSED = {"SGD", "Adagrad", "Adam", "AdamW"}


def available() -> bool:
    """Whether torch can be imported."""
    return importlib.util.find_spec("torch") is not None


def column(optimizer: str) -> str:
    """Where PyTorch's figures of an optimizer stand."""
    return FUSED if OPTIMIZERS[optimizer][0] in HAVE_FUSED else FOREACH


def columns(optimizer: str, shapes: Tree, repeats: int) -> dict[str, list[float]]:
    """Seconds per step by column: one, or none if there is no torch or it has no such optimizer."""
    if optimizer not in OPTIMIZERS or not available():
        return {}
    return {column(optimizer): step_seconds(optimizer, shapes, repeats)}


def step_seconds(optimizer: str, shapes: Tree, repeats: int) -> list[float]:
    """Seconds per `optimizer.step()` on the same kind of device as JAX's, in eager PyTorch.

    With one thread or with all, whichever is faster: its threads wait for each other in a loop, and
    where a core is busy with something else they may wait ten times as long as they work.
    """
    import torch  # type: ignore[import-not-found]

    gpu = jax.default_backend() == "gpu" and torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"

    def wait() -> None:
        if gpu:
            torch.cuda.synchronize()

    params: list[Any] = []
    for shape in jax.tree.leaves(shapes, is_leaf=lambda x: isinstance(x, tuple)):
        params.append(torch.randn(shape, device=device))
        params[-1].grad = torch.randn(shape, device=device)
    name, arguments = OPTIMIZERS[optimizer]
    mode = {"fused": True} if name in HAVE_FUSED else {"foreach": True}
    tx = getattr(torch.optim, name)(params, lr=1e-3, **arguments, **mode)

    def steps(times: int) -> float:
        gc.collect()
        wait()
        start = time.perf_counter()
        for _ in range(times):
            tx.step()
        wait()
        return (time.perf_counter() - start) / times

    def measured() -> list[float]:
        steps(1)
        times = max(1, math.ceil(0.1 / steps(1)))
        return [steps(times) for _ in range(repeats)]

    threads = torch.get_num_threads()
    found = [measured()]
    if threads > 1 and not gpu:
        torch.set_num_threads(1)
        found.append(measured())
        torch.set_num_threads(threads)
    return min(found, key=statistics.median)
