"""Seconds of one training step, each optimizer in turns with AdamW."""

import statistics
from typing import Any

import jax
import jax.numpy as jnp

from ..harness import seconds
from .contenders import Contender
from .training import Trainer

STEPS = 20
"""Steps in a row in one measurement: twice as many as from one renewal of a basis to the next."""
REPEATS = 7


class Steps:
    """One run that goes on: each call takes one step, compiled alone."""

    def __init__(self, trainer: Trainer, contender: Contender, rate: float, decay: float):
        size = trainer.workload.batch_size
        self.batch = jax.device_put(tuple(array[:size] for array in trainer.parts.train))
        tx = trainer.optimizer(contender, rate, decay)

        def step(params: Any, state: Any, *batch: jax.Array) -> tuple[Any, Any]:
            return trainer.step(tx, params, state, *batch)[:2]

        params = jax.tree.map(lambda p: p[0], trainer.params(jnp.zeros(1, jnp.uint32)))
        state = jax.tree.map(jnp.copy, tx.init(params))  # what is donated must be no one else's
        self.step = jax.jit(step, donate_argnums=(0, 1)).lower(params, state, *self.batch).compile()
        self.carry: tuple[Any, Any] = params, state

    def __call__(self) -> Any:
        self.carry = self.step(*self.carry, *self.batch)
        return self.carry


def quartiles(samples: list[float]) -> dict[str, float]:
    """The median and the quartiles."""
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def measure(theirs: Steps, ours: Steps, repeats: int = REPEATS) -> dict[str, Any]:
    """Seconds of our step, and its ratio to theirs in each turn. Both are warm from a first turn."""
    mine, ratio = [], []
    for i in range(repeats + 1):
        pair = (theirs, ours) if i % 2 else (ours, theirs)
        found = {steps: seconds(steps, STEPS) for steps in pair}
        if i:
            mine.append(found[ours])
            ratio.append(found[ours] / found[theirs])
    return {"seconds": quartiles(mine), "ratio": quartiles(ratio)}
