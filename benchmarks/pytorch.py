"""PyTorch's step beside ours, where torch happens to be installed."""

import gc
import importlib.util
import math
import time
from typing import Any

import jax

from .trees import Tree

CLASSES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}


def available() -> bool:
    """Whether torch can be imported."""
    return importlib.util.find_spec("torch") is not None


def step_seconds(optimizer: str, shapes: Tree, repeats: int) -> list[float]:
    """Seconds per `optimizer.step()` on the same kind of device as JAX's, in eager PyTorch."""
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
    tx = getattr(torch.optim, CLASSES[optimizer])(params, lr=1e-3)

    def steps(times: int) -> float:
        gc.collect()
        wait()
        start = time.perf_counter()
        for _ in range(times):
            tx.step()
        wait()
        return (time.perf_counter() - start) / times

    steps(1)
    times = max(1, math.ceil(0.1 / steps(1)))
    return [steps(times) for _ in range(repeats)]
