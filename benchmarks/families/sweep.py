"""64 learning rates of AdamW on the digits: one program by `gradchain.sweep`, or 64 jitted runs."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..harness import OURS, REFERENCE, Figure, Limit, benchmark, in_turns, module, seconds

RATES = np.geomspace(1e-5, 1e-1, 64)
HIDDEN, BATCH, EPOCHS = 64, 32, 20
CALLED = "optax, compiled once"
"""One jitted function of the rate, called 64 times."""


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The batches of all epochs: f32[steps, BATCH, 64] and i32[steps, BATCH]."""
    from sklearn.datasets import load_digits

    raw: Any = load_digits()
    rng = np.random.default_rng(0)
    used = len(raw.data) // BATCH * BATCH
    epochs = [rng.permutation(len(raw.data))[:used] for _ in range(EPOCHS)]
    order = np.concatenate(epochs).reshape(-1, BATCH)
    return np.asarray(raw.data[order] / 16, np.float32), np.asarray(raw.target[order], np.int32)


def start() -> dict[str, jax.Array]:
    """The first parameters of a multilayer perceptron."""
    a, b = jax.random.split(jax.random.key(0))
    return {
        "w1": jax.random.normal(a, (64, HIDDEN)) / 8,
        "b1": jnp.zeros((HIDDEN,)),
        "w2": jax.random.normal(b, (HIDDEN, 10)) / 8,
        "b2": jnp.zeros((10,)),
    }


def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean cross-entropy of a batch."""
    logits = jnp.maximum(x @ params["w1"] + params["b1"], 0) @ params["w2"] + params["b2"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


def train(lib: Any, tx: Any) -> jax.Array:
    """The mean loss of the last ten batches."""

    def step(carry: Any, batch: Any) -> Any:
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, *batch)
        updates, state = tx.update(grads, state, params)
        return (lib.apply_updates(params, updates), state), value

    params = start()
    _, losses = jax.lax.scan(step, (params, tx.init(params)), digits())
    return losses[-10:].mean()


def swept() -> np.ndarray:
    """One program for all rates."""
    gc = module(OURS)
    space = {"learning_rate": RATES}
    return gc.sweep(lambda tx: train(gc, tx), gc.adamw(1e-3), space, progress=False)["result"]


def looped(once: bool) -> np.ndarray:
    """64 jitted runs.

    Args: once, whether one function of the rate is compiled, or one program for each rate.
    """
    optax = module(REFERENCE)
    run = jax.jit(lambda rate: train(optax, optax.adamw(rate)))
    if once:
        return np.asarray([run(rate) for rate in RATES.astype(np.float32)])
    return np.asarray([jax.jit(lambda r=float(r): train(optax, optax.adamw(r)))() for r in RATES])


@benchmark("sweep", "64 learning rates of AdamW on the digits")
def sweep(repeats: int) -> list[Figure]:
    """Compilation included: nobody sweeps the same twice."""

    def timed(run: Callable[[], np.ndarray]) -> dict[str, float]:
        jax.clear_caches()
        found: list[np.ndarray] = []
        took = seconds(lambda: found.append(run()))
        # The same training, where it is not chaotic: at low rates.
        np.testing.assert_allclose(found[0][:40], expected[:40], rtol=2e-2)
        return {"time": took}

    expected = swept()
    actions = {
        REFERENCE: lambda: timed(lambda: looped(once=False)),
        CALLED: lambda: timed(lambda: looped(once=True)),
        OURS: lambda: timed(swept),
    }
    samples = in_turns(actions, 1)["time"]  # minutes each
    limits = (Limit(1 / 5),)
    return [Figure("64 runs, compiling included", "s", samples, limits=limits)]
