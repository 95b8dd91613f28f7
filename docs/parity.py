"""Writes docs/parity.md and its picture: the worst relative error of every row against its references.

Run `python docs/parity.py` where the tests run; it takes some minutes. With --check nothing is measured or
written: if the page's rows are not those of the tests it is named, and the exit status is 1.
"""

import argparse
import inspect
import re
import runpy
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "parity.md"
sys.path.insert(0, str(ROOT / "tests"))
runpy.run_path(str(ROOT / "tests" / "conftest.py"))  # as strictly as the tests

import field  # noqa: E402
import jax  # noqa: E402
import parity_picture  # noqa: E402
import test_torch_parity as torch  # noqa: E402
from cases import TWINS, Case  # noqa: E402
from parity import STEPS, error_to_optax, error_to_paper, error_to_trajectory  # noqa: E402
from test_laws_parity import ROSENBROCK  # noqa: E402
from test_paper_parity import WRITTEN  # noqa: E402


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    head = list(head)
    rule = ["---" if name[0].isupper() else "---:" for name in head]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


Measure = Callable[..., float]


def measured(error: Measure, *args: Any) -> float:
    """The error."""
    found = error(*args)
    jax.clear_caches()  # thousands of compiled programs would fill the memory
    return found


def unmeasured(error: Measure, *args: Any) -> float:
    """A number in its place."""
    return 0.0


def optax_rows(measure: Measure) -> list[list[str]]:
    """For each factory the number of its rows and their worst errors."""

    def errors(case: Case) -> list[float]:
        random = [measure(error_to_optax, case, dtype) for dtype in ("float32", "float64")]
        downhill = case in ROSENBROCK
        return [*random, measure(error_to_optax, case, "float64", "rosenbrock") if downhill else -1.0]

    worst: dict[str, list[list[float]]] = {}
    for case in TWINS:
        worst.setdefault(case.name, []).append(errors(case))
    return [
        [
            f"`{name}`",
            str(len(rows)),
            *(f"{e:.1e}" if e >= 0 else "" for e in map(max, zip(*rows, strict=True))),
        ]
        for name, rows in sorted(worst.items())
    ]


def torch_rows(measure: Measure) -> list[list[str]]:
    """For each of PyTorch's optimizers what it is here, and the worst error."""
    return [
        [f"`{case['torch']}`", f"`{case['gradchain']}`", error_in(measure, torch.REFERENCE, case)]
        for case in torch.NAMES.values()
    ]


def field_rows(measure: Measure) -> list[list[str]]:
    """The same for the optimizers of other packages."""
    return [
        [
            f"`{case['package']}.{case['optimizer']}`",
            f"`{case['gradchain']}`",
            error_in(measure, field.REFERENCES[name], case),
        ]
        for name, case in field.NAMES.items()
    ]


def error_in(measure: Measure, reference: dict[str, Any], case: dict[str, Any]) -> str:
    """The worst error over a trajectory, as a cell."""
    return f"{measure(error_to_trajectory, reference, case):.1e}"


def paper_rows(measure: Measure) -> list[list[str]]:
    """For each row with a paper the paper, the arguments and the worst error."""
    found = []
    for case in WRITTEN:
        source, *_ = (inspect.getdoc(case.paper) or "").splitlines()
        found.append([source, f"`{case.make(**case.at)!r}`", f"{measure(error_to_paper, case):.1e}"])
    return sorted(found, key=lambda cells: cells[:2])


def page(measure: Measure) -> str:
    """The page."""
    versions = ", ".join(f"{name} {version}" for name, version in field.VERSIONS.items())
    parts = [
        "# Parity",
        "Worst relative errors of updates, state fields and parameters, relative to each leaf's largest "
        "entry over the run. Made by `docs/parity.py` from the functions that the tests call.",
        "![Worst relative errors by reference, a dot for each row](parity.png)",
        "## Optax 0.2.8",
        f"{STEPS} steps over all rows of `tests/cases.py` that have a twin there: on random gradients in "
        "float32 and float64, and down Rosenbrock's valley in float64. What is known of the larger errors "
        "stands beside the rows.",
        table(["Name", "rows", "float32", "float64", "valley"], optax_rows(measure)),
        f"## PyTorch {torch.REFERENCE['torch']}",
        "20 steps in float64. `tests/references/make_torch.py` says where conventions differ.",
        table(["PyTorch", "Here", "error"], torch_rows(measure)),
        "## Other packages",
        f"10 steps in float64; the scripts `tests/references/make_field*.py` made them with {versions}.",
        table(["Package", "Here", "error"], field_rows(measure)),
        "## Papers",
        "The papers' algorithms, written out in NumPy, in float64.",
        table(["Paper", "Here", "error"], paper_rows(measure)),
    ]
    return "\n\n".join(parts) + "\n"


def without_numbers(text: str) -> str:
    """The page but for its errors, which differ from one machine to the next."""
    return re.sub(r"\d\.\de[+-]\d\d", "", text)


def main() -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if rows are missing")
    warnings.simplefilter("ignore")
    if not parser.parse_args().check:
        PAGE.write_text(page(measured))
        parity_picture.main()
    elif without_numbers(PAGE.read_text()) != without_numbers(page(unmeasured)):
        print("docs/parity.md is stale: run python docs/parity.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
