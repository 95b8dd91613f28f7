"""Writes docs/optimizers.md from the docstrings: `python docs/generate.py`; `--check` only looks."""

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

PAGE = Path(__file__).parent / "optimizers.md"


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


def page() -> str:
    """The page, derived from the docstrings alone."""
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


def main() -> int:
    """Writes the page; with `--check`, says whether it is up to date (exit code 1 if it is not)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page is stale")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print(f"docs/{PAGE.name} is stale: run python docs/generate.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
