"""What the benchmarks print and write."""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
from rich.table import Table

from .harness import OURS, REFERENCE, Benchmark, Figure

Results = Mapping[str, tuple[Benchmark, list[Figure]]]


def machine() -> dict[str, str]:
    """Where this runs: what a figure means nothing without."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = jax.devices()[0]
    packages = ("jax", "jaxlib", "optax", "gradchain", "torch")
    return {
        "processor": f"{_processor()}, {cores} cores",
        "device": f"{device.device_kind} ({device.platform}), {jax.device_count()} in all",
        "python": platform.python_version(),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS") or "none",
    } | {package: v for package in packages if (v := _version(package))}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def human(value: float, unit: str) -> str:
    """A number in the size people say it: 1.53 s, 24.1 ms, 512 MB."""
    if unit not in ("s", "bytes"):
        return f"{value:,.0f} {unit}"
    if unit == "s":
        steps = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]
    else:
        steps = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]
    size, name = next(((s, n) for s, n in steps if value >= s), steps[-1])
    return f"{value / size:.3g} {name}" if value < 1000 * size else f"{value / size:,.0f} {name}"


def spread(figure: Figure, library: str) -> str:
    """Half the distance from the least to the largest repeat, in percent of the median."""
    samples, median = figure.samples[library], figure.median(library)
    half = (max(samples) - min(samples)) / 2 / median
    return f" ±{half:.0%}" if half >= 0.005 else ""


def limit(figure: Figure) -> str:
    """The limit in words, or nothing."""
    if figure.most is not None:
        return f"≤ {human(figure.most, figure.unit)}"
    return "" if figure.most_ratio is None else f"≤ {figure.most_ratio:.2f}x"


def columns(figures: Iterable[Figure]) -> list[str]:
    """The libraries that appear, Optax and gradchain first."""
    others = {library for figure in figures for library in figure.samples}
    return [REFERENCE, OURS, *sorted(others - {REFERENCE, OURS})]


def cells(figure: Figure, libraries: list[str]) -> list[str]:
    """One row of a table: quantity, each library, the ratio, the limit."""
    numbers = [
        human(figure.median(lib), figure.unit) + spread(figure, lib) if lib in figure.samples else ""
        for lib in libraries
    ]
    return [figure.quantity, *numbers, f"{figure.ratio:.2f}x", limit(figure)]


def heading(libraries: list[str]) -> list[str]:
    """The names of the columns of `cells`."""
    return ["quantity", *libraries, f"{OURS} / {REFERENCE}", "limit"]


def table(title: str, figures: list[Figure]) -> Table:
    """The figures of one benchmark for the terminal."""
    libraries = columns(figures)
    shown = Table(title=title, title_justify="left", title_style="bold")
    for i, name in enumerate(heading(libraries)):
        shown.add_column(name, justify="right" if i else "left")
    for figure in figures:
        row = cells(figure, libraries)
        colour = "green" if figure.ratio < 0.95 else "red" if figure.ratio > 1.05 else "default"
        row[-2] = f"[{colour}]{row[-2]}[/]"
        if row[-1]:
            row[-1] += " [green]met[/]" if figure.holds else " [red]missed[/]"
        shown.add_row(*row)
    return shown


INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks --markdown docs/benchmarks.md`. Optax and gradchain run the same
code in one process and in turns. Figures are medians of {repeats} repeats (± half the distance
between the least and the largest); a ratio below 1 says that gradchain needs less.

- **import**: in a fresh interpreter, after `import jax`, with bytecode compiled before.
- **trace**, **lower**, **compile**: one training step (`update`, then `apply_updates`), with all of
  JAX's caches cleared before each repeat.
- **lowered program**: its length as text.
- **bytes accessed**: what XLA says the compiled program reads and writes.
- **step**: the compiled step, parameters and state donated.
- **un-jitted step**: the same step without `jax.jit`.
- **pytorch**, where there is such a column: its eager `step()` on the same tree. On a CPU much of it
  is fresh memory for temporaries, as in Optax's un-jitted step, and both vary with that.
"""


def markdown(results: Results, repeats: int) -> str:
    """The page of results."""
    about = "\n".join(f"| {key} | {value} |" for key, value in machine().items())
    parts = [INTRODUCTION.format(repeats=repeats), f"| where | |\n| --- | --- |\n{about}\n"]
    for bench, figures in results.values():
        libraries = columns(figures)
        names = heading(libraries)
        parts.append(f"## {bench.title}\n")
        parts.append("| " + " | ".join(names) + " |\n| --- " + "| ---: " * (len(names) - 1) + "|")
        for figure in figures:
            row = cells(figure, libraries)
            if row[-1]:
                row[-1] += " met" if figure.holds else " **missed**"
            parts[-1] += "\n| " + " | ".join(row) + " |"
        parts[-1] += "\n"
    return "\n".join(parts)
