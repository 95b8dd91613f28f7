"""Wrappers and links: accumulation, `apply_if_finite`, clipping, groups."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..harness import LIBRARIES, Figure, benchmark, bytes_accessed, in_turns, module, seconds
from ..training import by_update

SIZE = 2048
LEAVES = 64
STEPS = 12

Make = Callable[[Any], Any]


def one_array() -> Any:
    """One matrix of 4M entries."""
    return {"w": jnp.ones((SIZE, SIZE))}


def many_arrays() -> Any:
    """64 matrices of 256x256."""
    return {f"layer{i // 8}/w{i}": jnp.ones((256, 256)) for i in range(LEAVES)}


def label(params: Any) -> Any:
    """Eight groups, by layer."""
    return {name: name.split("/")[0] for name in params}


def train(lib: Any, tx: Any, params: Any) -> Callable[[], Any]:
    """A loop of compiled steps as training runs them: applied, parameters and state donated."""

    compiled = jax.jit(by_update(lib, tx), donate_argnums=(0, 1))
    carry = jax.tree.map(jnp.copy, (params, tx.init(params)))

    def run() -> Any:
        nonlocal carry
        for _ in range(STEPS):
            carry = compiled(*carry, params)
        return carry

    return run


def steps_of(lib: Any, make: Make, params: Any) -> Callable[[], dict[str, float]]:
    """One library's measurements, with all compiled."""
    tx = make(lib)
    start = tx.init(params)
    compiled = jax.jit(tx.update).lower(params, start, params).compile()
    loop = train(lib, tx, params)

    def run(update: Any) -> Any:
        state = start
        for _ in range(STEPS):
            _, state = update(params, state, params)
        return state

    def act() -> dict[str, float]:
        run(compiled)
        return {
            "bytes accessed": bytes_accessed(compiled),
            "step": seconds(lambda: run(compiled)) / STEPS,
            "un-jitted step": seconds(lambda: run(tx.update)) / STEPS,
            "training step": seconds(loop) / STEPS,
        }

    act()
    return act


def measure(make: Make, params: Any, repeats: int, limits: dict[str, float]) -> list[Figure]:
    """Bytes accessed, and seconds per compiled step (nothing donated), un-jitted and training step."""
    actions = {library: steps_of(module(library), make, params) for library in LIBRARIES}
    samples = in_turns(actions, repeats)
    return [
        Figure(name, "bytes" if name == "bytes accessed" else "s", of, limits.get(name))
        for name, of in samples.items()
    ]


@benchmark("accumulation/k4", "AdamW accumulated over 4 micro-steps, one array of 2048x2048")
def accumulation(repeats: int) -> list[Figure]:
    """`MultiSteps(adamw, 4)`, per micro-step.

    The compiled step is bound by memory. Optax's moves 17 arrays; a micro-step that holds must still
    move 8 (gradient, accumulator, both moments in; accumulator, both moments, zeros out) and one that
    emits 9, so no compiled step can take less than 0.49 of Optax's time, and new memory for all
    results costs both the same; with donated buffers the least is 0.31.
    """
    limits = {"bytes accessed": 1.05, "un-jitted step": 0.15, "step": 1.05, "training step": 0.75}
    return measure(lambda m: m.MultiSteps(m.adamw(1e-3), 4), one_array(), repeats, limits)


@benchmark("apply_if_finite/adamw", "AdamW in apply_if_finite, one array of 2048x2048")
def finite(repeats: int) -> list[Figure]:
    """`apply_if_finite(adamw, 3)` on finite gradients."""
    limits = {"bytes accessed": 1.05, "step": 0.75, "un-jitted step": 0.75}
    return measure(lambda m: m.apply_if_finite(m.adamw(1e-3), 3), one_array(), repeats, limits)


@benchmark("clipping/global_norm", "AdamW after clip_by_global_norm, 64 matrices of 256x256")
def clipping(repeats: int) -> list[Figure]:
    """`chain(clip_by_global_norm(1.0), adamw)`."""
    limits = {"bytes accessed": 1.05, "step": 1.05}
    return measure(
        lambda m: m.chain(m.clip_by_global_norm(1.0), m.adamw(1e-3)), many_arrays(), repeats, limits
    )


@benchmark("partition/8", "eight groups of AdamW, 64 matrices of 256x256")
def groups(repeats: int) -> list[Figure]:
    """`partition` with eight labels."""
    limits = {"bytes accessed": 1.05, "step": 1.05}

    def make(m: Any) -> Any:
        return m.partition({f"layer{i}": m.adamw(1e-3 * (i + 1)) for i in range(8)}, label)

    return measure(make, many_arrays(), repeats, limits)
