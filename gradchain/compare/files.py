"""Writes the results: whole files or none, and always valid ones."""

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .care import good_rates
from .errors import CompareError
from .results import RatePoint, Result
from .stat import Stat
from .tasks import Task

MOST_POINTS = 500


def folder(path: Path) -> Path:
    """Makes the folder for the results, before any time is spent on training."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise CompareError(
            f"--out {path}: expected a folder that can be written to: {error.strerror}."
        ) from None
    return path


def write(path: Path, content: str | bytes) -> None:
    """Writes a file under another name, then renames it: an interruption leaves no half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def as_json(settings: Mapping[str, Any], task: Task, results: Sequence[Result]) -> str:
    """Everything that was measured. NaN and infinity become null."""
    content = {
        "settings": settings,
        "decided_by": f"test {task.metric}",
        "target": task.goal,
        "results": [record(task, result) | curves(result) for result in results],
    }
    return json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"


def as_csv(task: Task, results: Sequence[Result]) -> str:
    """One line for each contender."""
    text = io.StringIO()
    rows = [record(task, result) for result in results]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["optimizer"])
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue()


def record(task: Task, result: Result) -> dict[str, Any]:
    """The numbers of one contender in one flat dictionary."""
    scores = {"test_accuracy": result.test_score, "train_accuracy": result.train_score}
    stats = (scores if task.score else {}) | {
        "test_loss": result.test_loss,
        "train_loss": result.train_loss,
    }
    if result.distance is not None:
        stats["distance_to_least_squares"] = result.distance
    flat = {f"{name}_{kind}": getattr(s, kind) for name, s in stats.items() for kind in _KINDS}
    default, good = result.default, good_rates(task, result)
    beside = Stat(None, None) if default is None else default.test
    flat |= {f"test_{task.metric}_at_default_{kind}": getattr(beside, kind) for kind in _KINDS}
    return {
        "place": result.place,
        "optimizer": result.name,
        "code": result.code,
        "learning_rate": result.learning_rate,
        "default_learning_rate": default and default.learning_rate,
        "good_rates_from": good and good[0],
        "good_rates_to": good and good[1],
        **flat,
        "steps_to_target": result.steps_to_target,
        "steps_to_target_by_seed": list(result.target_steps),
        "diverged_at_step_by_seed": list(result.diverged_at),
        "seconds_per_step": result.seconds_per_step,
        "compile_seconds": result.compile_seconds,
        "state_bytes": result.state_bytes,
    }


_KINDS = ("mean", "std", "half_width")


def curves(result: Result) -> dict[str, Any]:
    """The curves of one contender. Of a long one, only some points are kept."""
    every = max(1, math.ceil(len(result.step_loss) / MOST_POINTS))
    return {
        "curves": {
            "step": list(range(1, len(result.step_loss) + 1, every)),
            "batch_loss_by_seed": result.step_loss[::every].T,
            "test_step": [r * result.steps_per_round for r in range(len(result.test_curve))],
            "test_by_seed": result.test_curve.T,
        },
        "sweep": [_point(point) for point in result.sweep],
        "default": result.default and _point(result.default),
    }


def _point(point: RatePoint) -> dict[str, Any]:
    return {
        "learning_rate": point.learning_rate,
        "validation_mean": point.validation.mean,
        "validation_std": point.validation.std,
        "test_mean": point.test.mean,
        "test_std": point.test.std,
        "diverged_seeds": point.diverged,
    }


def _plain(value: Any) -> Any:
    """The same in Python's own types. NaN and infinity become None: JSON has no such numbers."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join("-" if v is None else str(v) for v in value)
    return "" if value is None else value
