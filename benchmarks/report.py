"""What the benchmarks print and write."""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
from rich.table import Table

from .harness import FLAGGED, NOISE, OURS, REFERENCE, UPDATE, WITH_FLAGS, Benchmark, Figure, Limit
from .worker import FLAGS

Results = Mapping[str, tuple[Benchmark, list[Figure]]]
MISSED = "**missed**"


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
    """A number in the size people say it: 1.53 s, 24.1 ms, 512 MB, 71%."""
    if unit == "%":
        return f"{value:.0f}%"
    if unit == "loss":
        return f"{value:.4f}"
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
    half = (max(samples) - min(samples)) / 2 / median if median else 0
    return f" ±{half:.0%}" if half >= 0.005 else ""


def number(figure: Figure, library: str) -> str:
    """The median and the spread; nothing for a library that was not measured."""
    if library not in figure.samples:
        return ""
    return human(figure.median(library), figure.unit) + spread(figure, library)


def times(ratio: float | None) -> str:
    """A ratio as people say it; nothing for none."""
    if ratio is None:
        return ""
    return f"{ratio:.2f}x" if ratio >= 0.1 or ratio == 0 else f"{ratio:.2g}x"


def verdict(figure: Figure, limit: Limit) -> str:
    """A limit in words, and whether it is kept. What is left out: gradchain's, and of Optax's."""
    whose = "" if limit.library == OURS else f"{limit.library.removeprefix(OURS).strip()} "
    most = human(limit.most, figure.unit) if limit.of is None else times(limit.most)
    of = "" if limit.of in (None, REFERENCE) else f" of {limit.of}"
    return f"{whose}≤ {most}{of} {'met' if figure.keeps(limit) else MISSED}"


FIRST = (REFERENCE, REFERENCE + WITH_FLAGS, UPDATE, OURS, FLAGGED)
"""The order of columns; others follow."""


def columns(figures: Iterable[Figure]) -> list[str]:
    """The libraries that appear."""
    there = {library for figure in figures for library in figure.samples}
    return [*(library for library in FIRST if library in there), *sorted(there - {*FIRST})]


def compared(figures: Iterable[Figure], libraries: list[str]) -> list[str]:
    """Those of gradchain's columns that are divided by Optax's; percentages speak for themselves."""
    if all(figure.unit == "%" for figure in figures):
        return []
    return [library for library in (OURS, FLAGGED) if library in libraries]


def heading(figures: list[Figure]) -> list[str]:
    """The names of a table's columns."""
    libraries = columns(figures)
    ratios = [
        f"{library.removeprefix(OURS).strip() or OURS} / {REFERENCE}"
        for library in compared(figures, libraries)
    ]
    return ["quantity", *libraries, *ratios, "limit"]


def rows(figures: list[Figure]) -> list[list[str]]:
    """A table's cells: quantity, each library, the ratios, the limits."""
    libraries = columns(figures)
    return [
        [
            figure.quantity,
            *(number(figure, library) for library in libraries),
            *(times(figure.ratio(library)) for library in compared(figures, libraries)),
            ", ".join(verdict(figure, limit) for limit in figure.all_limits),
        ]
        for figure in figures
    ]


def tables(results: Iterable[tuple[Benchmark, list[Figure]]]) -> dict[str, list[Figure]]:
    """The figures of each table by its title; benchmarks of one title share theirs."""
    found: dict[str, list[Figure]] = {}
    for bench, figures in results:
        for figure in figures:
            title = f"{bench.title}: {figure.table}" if figure.table else bench.title
            found.setdefault(title, []).append(figure)
    return found


def table(title: str, figures: list[Figure]) -> Table:
    """Figures for the terminal: ratios are green below 0.95 and red above 1.05."""
    shown = Table(title=title, title_justify="left", title_style="bold")
    for i, name in enumerate(heading(figures)):
        shown.add_column(name, justify="right" if i else "left", overflow="fold")
    libraries = columns(figures)
    for figure, row in zip(figures, rows(figures), strict=True):
        for i, library in enumerate(compared(figures, libraries), 1 + len(libraries)):
            ratio = figure.ratio(library) or 1.0
            row[i] = f"[{'green' if ratio < 0.95 else 'red' if ratio > 1.05 else 'default'}]{row[i]}[/]"
        row[-1] = row[-1].replace(MISSED, "[red]missed[/]")
        shown.add_row(*row)
    return shown


INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks --markdown docs/benchmarks.md` in one run. Figures are medians of
{repeats} repeats or so, ± half the distance from the least to the largest; libraries take turns. A ratio
below 1 says that gradchain needs less. A limit is for gradchain's number, as a share of Optax's unless it
says otherwise; `--check` fails where one is missed.
{picture}
| where | |
| --- | --- |
{machine}

- **gradchain**: by `tx.step` under *one pass over memory*, *training steps* and *before the first step*;
  elsewhere, and in the column **gradchain by update**, by the lines that Optax's users have: `update`, then
  `apply_updates`.
- **with flags**: in a process whose XLA_FLAGS are those of `gradchain.xla_flags()`, here
  `{flags}`.
  XLA reads them once, so a process with them and one without take turns, and both measure both libraries.
- **one pass over memory**: one array of 4096x4096, and GPT-2 small's 148 arrays, 124M numbers, all float32.
  The limits: with the flags a step moves the least possible bytes, and takes no longer than without
  ({noise:.2f}x, since equal programs vary by as much); AdamW on GPT-2 takes at most 1.10 of PyTorch's fused
  step, and 0.70 of Optax's without flags.
- **step**, **time of a step**: compiled, with parameters and state donated. The arrays are put anew several
  times, since where they lie changes a step by as much as ± says.
- **bytes per parameter**, **bytes accessed**: what XLA says the compiled step reads and writes.
- **least possible**: gradient, parameter and state read once, parameter and state written once, 4 bytes for
  each number. A gradient whose norm comes first is read twice; a copy of the first parameters is never
  written. Of the clipped AdamW XLA also counts a loop that runs only where the norm over- or underflows.
- **share of the memory limit**: the time of a copy that moves the least possible bytes, as a share of the
  step's time. The copy is `x + 1` of 16M numbers in place, measured in turns with the steps. Writing costs
  more than reading and the copy writes more of its bytes, so a step can come to more than 100%.
- **pytorch fused**: PyTorch's eager `step()` with `fused=True`; **pytorch foreach**: with `foreach=True`,
  for the optimizers that have no fused step. With one thread or with all, whichever is faster.
- **import**: in a fresh interpreter, after `import jax`, with bytecode compiled before. **First calls** and
  first updates are in a new process each.
- **trace**, **lower**, **compile**: one training step, with all of JAX's caches cleared before each repeat.
  **lowered program**: its length as text.
- **AdamW in low precision**: **gradchain** is the row's; **optax** and **float32** are AdamW in float32 of
  both libraries, in turns with it. States are as they are kept, without parameters. Losses are medians.
- **optimizers of matrices**: steps by `tx.step`, each measured alone, parameters and state donated;
  **optax** is `optax.adamw`. **renewing**: a step that renews bases or roots, as every tenth does;
  **gradchain**: the others. **products**: a program of the rule's matrix products alone.
- **un-jitted step**: without `jax.jit`. Much of it is fresh memory for temporaries, and varies with that.
"""


def markdown(results: Results, repeats: int, picture: str | None = None) -> str:
    """The page of results, with the name of the picture's file."""
    about = "\n".join(f"| {key} | {value} |" for key, value in machine().items())
    shown = f"\n![Steps as shares of what memory allows]({picture})\n" if picture else ""
    parts = [INTRODUCTION.format(repeats=repeats, picture=shown, machine=about, flags=FLAGS, noise=NOISE)]
    for title, figures in tables(results.values()).items():
        names = heading(figures)
        lines = [names, ["---", *["---:"] * (len(names) - 1)], *rows(figures)]
        parts.append(f"## {title}\n")
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    return "\n".join(parts)
