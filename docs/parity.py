"""Writes docs/parity.md: the worst relative error of every row against its references.

Run `python docs/parity.py` where the tests run; it takes some minutes.
"""

import inspect
import runpy
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
runpy.run_path(str(ROOT / "tests" / "conftest.py"))  # as strictly as the tests

import jax  # noqa: E402
import test_torch_parity as torch  # noqa: E402
from cases import TWINS, Case  # noqa: E402
from parity import STEPS, error_to_optax, error_to_paper  # noqa: E402
from test_laws_parity import ROSENBROCK  # noqa: E402
from test_paper_parity import WRITTEN  # noqa: E402


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    head = list(head)
    rule = ["---" if name[0].isupper() else "---:" for name in head]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def optax_rows() -> list[list[str]]:
    """For each factory the number of its rows and their worst errors."""
    downhill = {id(case) for case in ROSENBROCK}

    def errors(case: Case) -> list[float]:
        random = [error_to_optax(case, dtype) for dtype in ("float32", "float64")]
        valley = error_to_optax(case, "float64", "rosenbrock") if id(case) in downhill else -1.0
        jax.clear_caches()  # thousands of compiled programs would fill the memory
        return [*random, valley]

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


def torch_rows() -> list[list[str]]:
    """For each of PyTorch's optimizers what it is here, and the worst error."""
    return [
        [f"`{case['torch']}`", f"`{case['gradchain']}`", f"{torch.error_of(name):.1e}"]
        for name, case in torch.NAMES.items()
    ]


def paper_rows() -> list[list[str]]:
    """For each row with a paper the paper, the arguments and the worst error."""
    found = []
    for case in WRITTEN:
        source, *_ = (inspect.getdoc(case.paper) or "").splitlines()
        found.append([source, f"`{case.make(**case.at)!r}`", f"{error_to_paper(case):.1e}"])
    return sorted(found)


def page() -> str:
    """The page."""
    parts = [
        "# Parity",
        "Worst relative errors of updates, state fields and parameters, relative to each leaf's largest "
        "entry over the run. Made by `docs/parity.py` from the functions that the tests call.",
        "## Optax 0.2.8",
        f"{STEPS} steps over all rows of `tests/cases.py` that have a twin there: on random gradients in "
        "float32 and float64, and down Rosenbrock's valley in float64. What is known of the larger errors "
        "stands beside the rows.",
        table(["Name", "rows", "float32", "float64", "valley"], optax_rows()),
        f"## PyTorch {torch.REFERENCE['torch']}",
        "20 steps in float64. `tests/references/make_torch.py` says where conventions differ.",
        table(["PyTorch", "Here", "error"], torch_rows()),
        "## Papers",
        "The papers' algorithms, written out in NumPy, in float64.",
        table(["Paper", "Here", "error"], paper_rows()),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    (ROOT / "docs" / "parity.md").write_text(page())
