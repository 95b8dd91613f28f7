"""All files of a comparison."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from . import files, plots, rate_plots
from .report import Picture, html
from .results import Result
from .tasks import Task

PICTURES = ("comparison.png", "rates.png")
WRITTEN = ("results.json", "results.csv", *PICTURES, "report.html")
"""The names of the files. There are no rates to draw without a sweep."""


def write(
    out: Path, task: Task, results: list[Result], facts: dict[str, Any], unfinished: list[str]
) -> list[str]:
    """Writes the files; returns their names."""
    versions = _versions()
    full = facts | {"versions": versions, "unfinished": unfinished}
    files.write(out / "results.json", files.as_json(full, task, results))
    files.write(out / "results.csv", files.as_csv(task, results))
    pictures = _pictures(task, results)
    for name in PICTURES:
        if name in pictures:
            files.write(out / name, pictures[name].wide)
        else:  # one of an earlier run would be taken for this one's
            (out / name).unlink(missing_ok=True)
    shown = list(pictures.values())
    page = html(task, results, shown, settings=facts, versions=versions, unfinished=unfinished)
    files.write(out / "report.html", page)
    return [name for name in WRITTEN if name in pictures or name not in PICTURES]


def _pictures(task: Task, results: list[Result]) -> dict[str, Picture]:
    """The pictures by the names of their files; the second one needs a sweep."""
    drawings: dict[str, tuple[str, Any]] = {"comparison.png": ("Who wins", plots)}
    if any(r.sweep for r in results):
        drawings["rates.png"] = ("What care the learning rate needs", rate_plots)
    caption = f"gradchain compare {task.name}: {task.what}"
    return {
        name: Picture(
            title,
            module.described(task, results),
            *(module.picture(task, results, caption, narrow=narrow) for narrow in (False, True)),
        )
        for name, (title, module) in drawings.items()
    }


def _versions() -> dict[str, str]:
    packages = ("gradchain", "jax", "flax", "numpy", "scikit-learn")
    found = {"python": platform.python_version(), "machine": platform.platform(terse=True)}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
            found[name] = "not installed"
    return found
