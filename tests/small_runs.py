"""Small runs of `fit` in the tests' own process."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradchain as gc
from gradchain import train

TX = gc.adam(1e-2)


def params() -> dict[str, Any]:
    return {"b": jnp.zeros(4), "w": jnp.full((8, 4), 0.1)}


def data(step: int) -> np.ndarray:
    return np.random.default_rng(step).standard_normal((2, 8)).astype(np.float32)


def loss(p: Any, batch: Any, key: Any) -> Any:
    """A loss with noise, in the dtype of the parameters."""
    noise = jax.random.normal(key, (4,), p["b"].dtype)
    return jnp.mean((jnp.tanh(batch.astype(p["w"].dtype) @ p["w"]) + (p["b"] - noise)[None]) ** 2)


def fit(steps: int, directory: Path | None = None, **given: Any) -> train.FitResult:
    """A run that is saved at every second step."""
    given = {"loss": loss, "params": params(), "tx": TX, "data": data, "save_every": 2} | given
    return train.fit(steps=steps, directory=directory, progress=False, **given)


@functools.cache
def six() -> train.FitResult:
    """Six steps at a stretch."""
    return fit(6, log_every=1)


def assert_same(a: train.FitResult, b: train.FitResult) -> None:
    """Both ended with the same bits."""
    jax.tree.map(np.testing.assert_array_equal, a.params, b.params)
    jax.tree.map(np.testing.assert_array_equal, a.opt_state, b.opt_state)


def steps_in(directory: Path) -> list[int]:
    """The steps that are saved."""
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdecimal())


def flip(path: Path) -> None:
    """Changes a bit of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cuts off half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
