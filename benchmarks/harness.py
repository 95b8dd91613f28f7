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
WITH_FLAGS = " with flags"  # behind a library's name: under XLA's flags that `xla_flags` gives
FLAGGED = OURS + WITH_FLAGS
UPDATE = f"{OURS} by update"  # where `gradchain` is by `step`
COPY = "copy"
NOISE = 1.15
"""How much slower a step may measure where it should be as fast: equal programs vary by as much."""


class Limit(NamedTuple):
    """What a library's number may be at most."""

    most: float  # in the figure's unit, or as a share of another library's
    library: str = OURS
    of: str | None = REFERENCE  # the other library


class Figure(NamedTuple):
    """One quantity, measured for each library."""

    quantity: str
    unit: str  # "s", "bytes", "%" or what is counted, such as "lines"
    samples: dict[str, list[float]]  # library to one number per repeat
    most_ratio: float | None = None  # what gradchain's share of Optax's may be at most
    most: float | None = None  # what gradchain's own number may be at most
    limits: tuple[Limit, ...] = ()  # others
    table: str = ""  # the table in which it stands, where a benchmark has several

    def median(self, library: str) -> float:
        """The median of a library's repeats."""
        return statistics.median(self.samples[library])

    def ratio(self, library: str = OURS, of: str = REFERENCE) -> float | None:
        """One library's median over another's; None if one of them was not measured."""
        if library not in self.samples or of not in self.samples:
            return None
        return self.median(library) / self.median(of)

    @property
    def all_limits(self) -> tuple[Limit, ...]:
        """All limits of this figure."""
        first = () if self.most_ratio is None else (Limit(self.most_ratio),)
        second = () if self.most is None else (Limit(self.most, of=None),)
        return first + second + self.limits

    def keeps(self, limit: Limit) -> bool:
        """Whether the figure keeps a limit; one of a library that was not measured is missed."""
        if limit.of is not None:
            ratio = self.ratio(limit.library, limit.of)
            return ratio is not None and ratio <= limit.most
        return limit.library in self.samples and self.median(limit.library) <= limit.most

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its limits; True if it has none."""
        return all(self.keeps(limit) for limit in self.all_limits)


class Benchmark(NamedTuple):
    """A named benchmark; `run(repeats)` measures it. Those with one title share its tables."""

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
