"""`python -m benchmarks [NAME ...] [--repeats N] [--markdown FILE] [--check] [--list]`.

Training quality has a command of its own: `python -m benchmarks quality --help`.
"""

import argparse
import itertools
import sys
from pathlib import Path

import jax
from rich.console import Console

from .harness import Benchmark, Figure, find
from .picture import bars, draw
from .report import machine, markdown, table, tables


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="adam, adam/gpt2, '*/gpt2'; all")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each figure (5)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a page and a picture")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error(f"--repeats must be at least 1, received {args.repeats}")
    return args


def run(bench: Benchmark, repeats: int, console: Console) -> list[Figure]:
    """What a benchmark finds. Its programs are forgotten, or they would slow down the next one's."""
    with console.status(bench.name):
        figures = bench.run(repeats)
    jax.clear_caches()
    return figures


def main() -> int:
    """Measures, prints, writes; returns the exit status."""
    if sys.argv[1:2] == ["quality"]:
        from .quality.command import main as quality

        return quality(sys.argv[2:])
    args = options()
    if args.markdown:
        args.markdown.parent.mkdir(parents=True, exist_ok=True)  # before all the work
    console = Console(width=None if sys.stdout.isatty() else 180)
    try:
        chosen = find(args.names)
    except LookupError as error:
        console.print(f"[red]{error.args[0]}[/]")
        return 2
    if args.list:
        for bench in chosen:
            console.print(f"{bench.name:20} {bench.title}")
        return 0
    console.print(" · ".join(f"{key}: {value}" for key, value in machine().items()))
    results: dict[str, tuple[Benchmark, list[Figure]]] = {}
    for _, group in itertools.groupby(chosen, key=lambda bench: bench.title):
        measured = {bench.name: (bench, run(bench, args.repeats, console)) for bench in group}
        for title, figures in tables(measured.values()).items():
            console.print(table(title, figures))
        results |= measured
    if args.markdown:
        picture = draw(bars(results.values()), args.markdown.with_suffix(".png"))
        args.markdown.write_text(markdown(results, args.repeats, picture), encoding="utf-8")
        console.print(f"wrote {args.markdown}")
    missed = [f"{n}: {f.quantity}" for n, (_, figures) in results.items() for f in figures if not f.holds]
    if missed:
        console.print(f"[red]limits missed:[/] {', '.join(missed)}")
    return int(args.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
