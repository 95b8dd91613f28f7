"""`python -m benchmarks [NAME ...] [--repeats N] [--markdown FILE] [--check] [--list]`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from gradchain import use_xla_flags

from .harness import Benchmark, Figure, find
from .report import machine, markdown, table


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="adam, adam/gpt2, '*/gpt2'; all")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each figure (7)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a page")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error(f"--repeats must be at least 1, received {args.repeats}")
    return args


def main() -> int:
    """Measures, prints, writes; returns the exit status."""
    args = options()
    use_xla_flags()  # before anything is computed
    console = Console(width=None if sys.stdout.isatty() else 120)
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
    for bench in chosen:
        with console.status(bench.name):
            results[bench.name] = bench, bench.run(args.repeats)
        console.print(table(bench.title, results[bench.name][1]))
    if args.markdown:
        args.markdown.write_text(markdown(results, args.repeats), encoding="utf-8")
        console.print(f"wrote {args.markdown}")
    missed = [f"{n}: {f.quantity}" for n, (_, figures) in results.items() for f in figures if not f.holds]
    if missed:
        console.print(f"[red]limits missed:[/] {', '.join(missed)}")
    return int(args.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
