"""Writes docs/parity.md: the worst relative error of every row against its references.

Run `python docs/parity.py` where the tests run.
"""

import runpy
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
runpy.run_path(str(ROOT / "tests" / "conftest.py"))  # as strictly as the tests

import jax  # noqa: E402
from cases import TWINS  # noqa: E402
from parity import STEPS, error_to_optax  # noqa: E402


def page() -> str:
    """The page; it takes a minute or two to compute."""
    worst: dict[str, dict[str, float]] = {}
    for case in TWINS:
        for dtype in ("float32", "float64"):
            row = worst.setdefault(case.name, {"float32": 0.0, "float64": 0.0, "rows": 0})
            row[dtype] = max(row[dtype], error_to_optax(case, dtype))
        worst[case.name]["rows"] += 1
        jax.clear_caches()  # thousands of compiled programs would fill the memory
    lines = [
        f"| `{name}` | {row['rows']:.0f} | {row['float32']:.1e} | {row['float64']:.1e} |"
        for name, row in sorted(worst.items())
    ]
    return "\n".join(
        [
            "# Parity",
            "",
            f"The worst relative error against Optax 0.2.8 in {STEPS} steps, of updates, state",
            "fields and parameters, over all rows of `tests/cases.py` that have a twin there. Errors are",
            "relative to each leaf's largest entry over the run. Made by `docs/parity.py`.",
            "",
            "`tests/test_torch_parity.py` holds every step to 1e-9 of PyTorch 2.13's in float64;",
            "`tests/test_paper_parity.py` and `tests/test_paper_parity_contrib.py` compare with the",
            "papers' algorithms written out in NumPy.",
            "",
            "| Name | Rows | float32 | float64 |",
            "| --- | ---: | ---: | ---: |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    (ROOT / "docs" / "parity.md").write_text(page())
