"""Whole training steps, compiled, with parameters and state donated.

JAX hands donated arrays to results of the same shape in their order. So a step here takes
(params, state, gradients) and returns (params, state): in another order XLA would copy everything.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from . import worker
from .harness import COPY, OURS, REFERENCE, WITH_FLAGS, bytes_accessed, in_turns, module, seconds
from .trees import Tree, abstract, random, size

Make = Callable[[Any], Any]  # from a library to a transformation
Step = Callable[[Any, Any, Any], tuple[Any, Any]]  # from params, state, gradients

COPIED = {"x": (4096, 4096)}
SECONDS = 0.05  # of one measurement, at least


class Case(NamedTuple):
    """What is measured: an optimizer on a tree."""

    make: Make
    shapes: Tree
    steps: int = 1  # that count as one
    pair: bool = False  # whether Optax's parameters are `LookaheadParams`
    torch: str = ""  # PyTorch's name of it, if it has it


def by_update(lib: Any, tx: Any) -> Step:
    """A step as Optax's users write it."""

    def step(params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        updates, state = tx.update(grads, state, params)
        return lib.apply_updates(params, updates), state

    return step


def by_step(tx: Any) -> Step:
    """A step by gradchain's `step`."""
    return lambda params, state, grads: tx.step(grads, state, params)


class Program(NamedTuple):
    """A compiled step, and what makes its first arguments."""

    start: Callable[[Any], Any]  # from arrays to parameters
    init: Callable[[Any], Any]
    compiled: Any


def program(case: Case, column: str) -> Program:
    """What a column of the table runs.

    Args: case; column, `optax`, `gradchain` (by `step`), or `gradchain by update`.
    """
    lib = module(REFERENCE if column == REFERENCE else OURS)
    tx = case.make(lib)
    step = by_step(tx) if column == OURS else by_update(lib, tx)
    start = lib.LookaheadParams.init_synced if case.pair and column == REFERENCE else lambda params: params
    shapes = abstract(case.shapes)
    params = jax.eval_shape(start, shapes)
    lowered = jax.jit(step, donate_argnums=(0, 1)).lower(params, jax.eval_shape(tx.init, params), shapes)
    return Program(start, tx.init, lowered.compile())


@cache
def copy() -> Program:
    """Every number read and written once, in place: what memory allows."""
    x = abstract(COPIED)
    compiled = jax.jit(lambda x, _, y: (jax.tree.map(lambda a: a + 1, x), None), donate_argnums=0)
    return Program(lambda x: x, lambda x: None, compiled.lower(x, None, None).compile())


def placed(made: Program, params: Any, grads: Any, steps: int) -> Callable[[], Any]:
    """A function that takes steps from these parameters, with all that it donates put somewhere new."""

    def fresh(tree: Any) -> Any:
        return jax.tree.map(jnp.copy, tree)  # no array twice: all are donated

    params = fresh(made.start(params))
    carry = params, fresh(made.init(params))

    def act() -> Any:
        nonlocal carry
        for _ in range(steps):
            carry = made.compiled(*carry, grads)
        return carry

    return act


def enough(act: Callable[[], Any]) -> int:
    """How many calls in a row take long enough to be measured; the first one is for warmth."""
    act()
    return max(1, round(SECONDS / seconds(act)))


class Bench:
    """A case with everything compiled."""

    def __init__(self, case: Case, columns: tuple[str, ...]):
        self.case = case
        self.programs = {column: program(case, column) for column in columns}
        self.copy = copy()

    def bytes_per_parameter(self) -> dict[str, float]:
        """What XLA says each program reads and writes; scalars vanish in rounding."""
        parameters = size(self.case.shapes)
        return {c: round(bytes_accessed(p.compiled) / parameters, 2) for c, p in self.programs.items()}

    def seconds(self, repeats: int) -> dict[str, list[float]]:
        """Seconds of each column, and of the copy for one byte that it moves.

        Where an array lies (on huge pages or not) can change a step by half, so each call puts
        all arrays anew.
        """
        params, grads = (random(self.case.shapes, seed) for seed in (0, 1))
        acts = {c: placed(made, params, grads, self.case.steps) for c, made in self.programs.items()}
        acts[COPY] = placed(self.copy, random(COPIED, 0), None, 1)
        times = {column: enough(act) for column, act in acts.items()}
        actions = {c: lambda c=c: {"seconds": seconds(acts[c], times[c])} for c in acts}
        samples = in_turns(actions, repeats)["seconds"]
        samples[COPY] = [s / (8 * size(COPIED)) for s in samples[COPY]]
        return samples


def merged(rounds: Sequence[Mapping[str, list[float]]]) -> dict[str, list[float]]:
    """The samples of all rounds."""
    return {column: [s for samples in rounds for s in samples[column]] for column in rounds[0]}


def in_both(
    measure: Callable[[str, int], dict[str, list[float]]], name: str, repeats: int
) -> dict[str, list[float]]:
    """What a family's function measures without and with XLA's flags: twice in each process, in turns."""
    without, flagged = [], []
    for order in ((worker.NONE, worker.FLAGS), (worker.FLAGS, worker.NONE)):
        found = {flags: worker.call(flags, measure, name, (repeats + 1) // 2) for flags in order}
        without.append(found[worker.NONE])
        flagged.append(found[worker.FLAGS])
    return merged(without) | {column + WITH_FLAGS: s for column, s in merged(flagged).items()}


def least_bytes(arrays: int, fixed: int = 0, gradient_reads: int = 1) -> int:
    """The fewest bytes per float32 parameter that a step can read and write.

    Args: arrays, in the state, of the parameters' size, each read and written once; fixed, how many of them
        never change and are only read; gradient_reads, how often the gradient must be read: twice if one
        number of all of it is needed first.
    """
    return 4 * (gradient_reads + 2 + 2 * arrays - fixed)


def state_arrays(case: Case) -> int:
    """How many arrays of the parameters' size gradchain's state holds."""
    state = jax.eval_shape(case.make(module(OURS)).init, abstract(case.shapes))
    return round(sum(x.size for x in jax.tree.leaves(state)) / size(case.shapes))


def shares(seconds: Sequence[float], limit: float) -> list[float]:
    """Measured steps as percentages of the memory limit, 100 for one that takes no longer."""
    return [100 * limit / s for s in seconds]
