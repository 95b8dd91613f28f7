"""A log of norms, rates and shares: what it adds to a step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..harness import OURS, WITH_FLAGS, Figure, Limit, benchmark, in_turns, module, seconds
from ..training import by_step, in_both
from ..trees import gpt2, random

SHAPES = gpt2(12, 256)
EVERY = 100  # the default
PLAIN, LOGGED = "adamw", "logged"


def transformation(column: str) -> Any:
    """AdamW, with a log or without."""
    lib = module(OURS)
    tx = lib.adamw(1e-3)
    return lib.logged(tx, EVERY) if column == LOGGED else tx


def steps_of(column: str) -> Callable[[], dict[str, float]]:
    """As many steps as there are from one measurement to the next: the time of one."""
    tx, params = transformation(column), random(SHAPES, 0)
    program = jax.jit(by_step(tx), donate_argnums=(0, 1))
    carry = jax.tree.map(jnp.copy, (params, tx.init(params)))

    def run() -> Any:
        nonlocal carry
        for _ in range(EVERY):
            carry = program(*carry, params)
        return carry

    run()
    return lambda: {"seconds": seconds(run) / EVERY}


def measure(name: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each column in this process."""
    return in_turns({column: steps_of(column) for column in (PLAIN, LOGGED)}, repeats)["seconds"]


@benchmark("logged/adamw", "AdamW with a log, GPT-2 of 12 layers and width 256: 22M parameters")
def logged(repeats: int) -> list[Figure]:
    """`logged(adamw)`, measured over whole intervals, without and with XLA's flags."""
    samples = in_both(measure, "", repeats)
    limits = tuple(Limit(1.05, LOGGED + end, PLAIN + end) for end in ("", WITH_FLAGS))
    return [Figure("training step", "s", samples, limits=limits)]
