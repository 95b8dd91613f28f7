"""Measuring two libraries fairly: in one process, in turns, medians of repeats.

A family of benchmarks is one file in `benchmarks/families/` whose functions carry `@benchmark`;
they are found by themselves.
"""

import gc
import importlib
import pkgutil
import statistics
import time
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from types import ModuleType
from typing import Any, NamedTuple

import jax

REFERENCE, OURS = "optax", "gradchain"
LIBRARIES = (REFERENCE, OURS)


class Figure(NamedTuple):
    """One quantity, measured for each library."""

    quantity: str
    unit: str  # "s", "bytes" or what is counted, such as "lines"
    samples: dict[str, list[float]]  # library to one number per repeat
    most_ratio: float | None = None  # what gradchain's share of Optax's may be at most
    most: float | None = None  # what gradchain's own number may be at most

    def median(self, library: str) -> float:
        """The median of a library's repeats."""
        return statistics.median(self.samples[library])

    @property
    def ratio(self) -> float:
        """gradchain's median over Optax's."""
        return self.median(OURS) / self.median(REFERENCE)

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its limits; True if it has none."""
        within_ratio = self.most_ratio is None or self.ratio <= self.most_ratio
        return within_ratio and (self.most is None or self.median(OURS) <= self.most)


class Benchmark(NamedTuple):
    """A named benchmark; `run(repeats)` measures it."""

    name: str
    title: str
    run: Callable[[int], list[Figure]]


_registry: dict[str, Benchmark] = {}


def benchmark(name: str, title: str) -> Callable[[Callable[[int], list[Figure]]], Any]:
    """Registers a function from the number of repeats to figures."""

    def register(run: Callable[[int], list[Figure]]) -> Callable[[int], list[Figure]]:
        if name in _registry:
            raise ValueError(f"two benchmarks are called {name!r}")
        _registry[name] = Benchmark(name, title, run)
        return run

    return register


def find(patterns: list[str]) -> list[Benchmark]:
    """The benchmarks that patterns name: `adam`, `adam/gpt2`, `*/gpt2`; all for none.

    Raises: LookupError for a pattern that names none.
    """
    families = importlib.import_module("benchmarks.families")
    for module in pkgutil.iter_modules(families.__path__):
        importlib.import_module(f"{families.__name__}.{module.name}")
    chosen: set[str] = set()
    for pattern in patterns or ["*"]:
        found = {n for n in _registry if fnmatch(n, pattern) or fnmatch(n, f"{pattern}/*")}
        if not found:
            raise LookupError(f"no benchmark is called {pattern!r}; there are: {', '.join(_registry)}")
        chosen |= found
    return [b for name, b in _registry.items() if name in chosen]


def module(library: str) -> ModuleType:
    """A library by name; both are called by the same code."""
    return importlib.import_module(library)


def seconds(action: Callable[[], Any], times: int = 1) -> float:
    """How long one call takes, waiting for its result, as the mean over `times` in a row."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        result = None
        for _ in range(times):
            result = action()
        jax.block_until_ready(result)
        return (time.perf_counter() - start) / times
    finally:
        gc.enable()


def bytes_accessed(compiled: Any) -> float:
    """What XLA says a compiled program reads and writes."""
    cost = compiled.cost_analysis()
    return (cost[0] if isinstance(cost, list) else cost)["bytes accessed"]  # a list in older JAX


def in_turns(
    actions: Mapping[str, Callable[[], Mapping[str, float]]], repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Runs each library's action in turns, first in one order, then in the other.

    Args: actions, from library to a function that measures quantities; repeats, at least 1.
    Returns: quantity to library to samples.
    """
    samples: dict[str, dict[str, list[float]]] = {}
    for i in range(repeats):
        for library in list(actions)[:: 1 if i % 2 == 0 else -1]:
            for quantity, value in actions[library]().items():
                samples.setdefault(quantity, {}).setdefault(library, []).append(value)
    return samples
