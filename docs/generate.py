"""Writes docs/optimizers.md from the docstrings: `python docs/generate.py [--check]`.

With --check nothing is written: pages that are not what the docstrings say are named, and the exit status
is 1. `.ci/run`, pre-commit and a test check.
"""

import argparse
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradchain as gc
import gradchain.optimizers

ROOT = Path(__file__).parent


def optimizers() -> list[tuple[str, Callable[..., Any]]]:
    """Every optimizer, by the file that has its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(gradchain.optimizers.__path__))
    found = [(name, getattr(gradchain.optimizers, name, None)) for name in names]
    return [(name, f) for name, f in found if inspect.isfunction(f)]


def row(name: str, factory: Callable[..., Any]) -> str:
    """A row of the table: the name, what it is, where it comes from."""
    doc = inspect.getdoc(factory) or ""
    sentence = " ".join(doc.split("\n\n")[0].split())
    _, _, reference = doc.partition("Reference:")
    reference = " ".join(reference.split("\n\n")[0].split())
    flat = name if name in vars(gc) else f"contrib.{name}"
    cells = [cell.replace("|", "\\|") for cell in (f"`{flat}`", sentence, reference)]
    return f"| {' | '.join(cells)} |"


def optimizers_page() -> str:
    """The page of optimizers, derived from the docstrings alone."""
    importlib.import_module("gradchain.contrib")
    rows = [row(name, factory) for name, factory in optimizers()]
    return "\n".join(
        [
            "# Optimizers",
            "",
            "One file each in `gradchain/optimizers/`. This page is made by `docs/generate.py`.",
            "",
            "| Name | Rule | Reference |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


PAGES: dict[Path, Callable[[], str]] = {ROOT / "optimizers.md": optimizers_page}
"""The pages this script writes."""


def stale() -> list[Path]:
    """The pages that are not there, or not what would be written."""
    return [path for path, make in PAGES.items() if not path.exists() or path.read_text() != make()]


def main() -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    if not parser.parse_args().check:
        for path in stale():
            path.write_text(PAGES[path]())
        return 0
    found = stale()
    for path in found:
        print(f"docs/{path.name} is stale: run python docs/generate.py", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
