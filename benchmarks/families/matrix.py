"""Optimizers of matrices on 72 of them: their steps beside AdamW's, with and without matrix products."""

import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import gradchain as gc

from ..harness import OURS, REFERENCE, Figure, Limit, benchmark, module
from ..training import Make, by_step, by_update
from ..trees import Tree, abstract, random, size
from .muon import SHAPES

ADAMW, PRODUCTS, BEYOND, RENEWING = "adamw", "products", "beyond products", "renewing"
FREQUENCY = 10
STEPS = 25
Product = Callable[[Any, Any, Any], Any]  # from a matrix, and two square ones as large as its sides


def _times(x: Any, y: Any) -> jax.Array:
    return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)


def _grams(x: Any, y: Any) -> Any:
    return _times(x, x.T), _times(y.T, y)


def _there_and_back(g: Any, left: Any, right: Any) -> Any:
    return _times(_times(left, _times(_times(left.T, g), right)), right.T)


def _soap(g: Any, left: Any, right: Any) -> Any:
    return _there_and_back(g, left, right), _grams(g, g)


def _shampoo(g: Any, left: Any, right: Any) -> Any:
    return _times(_times(left, g), right), _grams(g, g)


def _kl_soap(g: Any, left: Any, right: Any) -> Any:
    return _there_and_back(g, left, right), _grams(_times(g, right), _times(left.T, g))


def _kl_shampoo(g: Any, left: Any, right: Any) -> Any:
    return _there_and_back(g + 1, left, right), _kl_soap(g, left, right)[1], _shampoo(g, left.T, right)[0]


def _newton_schulz(g: Any, left: Any, right: Any) -> Any:
    x = g.T if g.shape[0] > g.shape[1] else g
    for _ in range(5):
        a = x @ x.T
        x = (a @ a) @ x
    return x


class Row(NamedTuple):
    """An optimizer and its matrix products."""

    make: Make
    product: Product | None = None
    renews: int | None = None  # the remainder by FREQUENCY of the steps that renew bases or roots
    limits: tuple[Limit, ...] = ()


ROWS = {
    "soap": Row(
        lambda m: m.soap(1e-3, precondition_frequency=FREQUENCY), _soap, 1, (Limit(3.0, BEYOND, ADAMW),)
    ),
    "shampoo": Row(
        lambda m: m.shampoo(1e-3, b2=0.99, precondition_frequency=FREQUENCY, graft="adam"), _shampoo, 0
    ),
    "kl_soap": Row(lambda m: m.kl_soap(1e-3, precondition_frequency=FREQUENCY), _kl_soap, 1),
    "kl_shampoo": Row(lambda m: m.kl_shampoo(1e-3, precondition_frequency=FREQUENCY), _kl_shampoo, 1),
    "normuon": Row(lambda m: m.normuon(1e-3), _newton_schulz),
    "came": Row(lambda m: m.came(1e-3)),
    "adam_mini": Row(lambda m: m.adam_mini(1e-3)),
    "mars": Row(lambda m: m.mars(1e-3)),
}


class Stepping:
    """A compiled step that is taken again and again, parameters and state donated."""

    def __init__(self, tx: Any, step: Any, params: Any, grads: Any):
        self.traces = 0

        def counted(params: Any, state: Any, grads: Any) -> Any:
            self.traces += 1
            return step(params, state, grads)

        self.program = jax.jit(counted, donate_argnums=(0, 1))
        self.carry = jax.tree.map(jnp.copy, (params, tx.init(params)))
        self.grads = grads

    def __call__(self) -> Any:
        self.carry = self.program(*self.carry, self.grads)
        return self.carry


def products(product: Product, grads: Any) -> Callable[[], Any]:
    """A program that has the matrix products of a rule, and nothing else."""
    gs = jax.tree.leaves(grads)
    sides = {d: jnp.eye(d) for g in gs for d in g.shape}
    squares = [tuple(jnp.copy(sides[d]) for d in g.shape) for g in gs]
    program = jax.jit(lambda gs, squares: [product(g, *both) for g, both in zip(gs, squares, strict=True)])
    return functools.partial(program, gs, squares)


def taken(row: Row, shapes: Tree, repeats: int) -> tuple[dict[str, list[float]], int]:
    """Seconds by column, all in turns, and how often the step was traced.

    Every step is measured alone. Of those between renewals a repeat is the median of some.
    """
    params, grads = random(shapes, 0), random(shapes, 1)
    optax, tx, adamw = module(REFERENCE), row.make(gc), gc.adamw(1e-3)
    peer = optax.adamw(1e-3)
    ours = Stepping(tx, by_step(tx), params, grads)
    acts: dict[str, Callable[[], Any]] = {
        REFERENCE: Stepping(peer, by_update(optax, peer), params, grads),
        ADAMW: Stepping(adamw, by_step(adamw), params, grads),
        OURS: ours,
    }
    if row.product is not None:
        acts[PRODUCTS] = products(row.product, grads)
    times: dict[str, list[float]] = {column: [] for column in acts}
    renewing: list[float] = []
    for number in range(1, STEPS * math.ceil(repeats / 5) + 1):
        for column in list(acts)[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            jax.block_until_ready(acts[column]())
            spent = time.perf_counter() - start
            if number > 1:  # the first compiles
                renews = column == OURS and row.renews is not None and number % FREQUENCY == row.renews
                (renewing if renews else times[column]).append(spent)
    samples = {column: _medians(spent, repeats) for column, spent in times.items()}
    if PRODUCTS in samples:
        pairs = zip(samples[OURS], samples[PRODUCTS], strict=True)
        samples[BEYOND] = [whole - product for whole, product in pairs]
    return samples | ({RENEWING: renewing} if renewing else {}), ours.traces


def _medians(spent: Sequence[float], parts: int) -> list[float]:
    """The medians of so many parts of a list."""
    cuts = [round(i * len(spent) / parts) for i in range(parts + 1)]
    return [statistics.median(spent[a:b]) for a, b in itertools.pairwise(cuts)]


def run(name: str, repeats: int, shapes: Tree = SHAPES) -> list[Figure]:
    """The figures of an optimizer."""
    row = ROWS[name]
    samples, traces = taken(row, shapes, repeats)
    kept = gc.memory(row.make(gc), abstract(shapes)).total / size(shapes)
    return [
        Figure(name, "s", samples, limits=row.limits, table="steps"),
        Figure(name, "bytes", {OURS: [kept]}, table="state per parameter"),
        Figure(name, "times", {OURS: [float(traces)]}, most=1, table=f"compilations in {STEPS} steps"),
    ]


for _name in ROWS:
    benchmark(f"matrix/{_name}", "optimizers of matrices, 72 matrices")(functools.partial(run, _name))
