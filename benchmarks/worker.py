"""Processes with and without XLA's flags: XLA reads them once in a process.

`call(flags, function, *args)` runs a function of a family in a process that has these flags. It is started
at the first call, and kept. `call_fresh` starts one for this call alone. Arguments and results are JSON.
"""

import atexit
import functools
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from gradchain import xla_flags

ROOT = Path(__file__).parents[1]
NONE, FLAGS = "", xla_flags()
"""The environment variable XLA_FLAGS of a process without flags, and of one with gradchain's."""


@functools.cache
def _process(flags: str) -> subprocess.Popen[str]:
    process = _start(flags)
    atexit.register(_stop, process)
    return process


def _start(flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker"],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends a process: it reads until there is nothing more."""
    process.communicate()


def _ask(process: subprocess.Popen[str], function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    asked: Any = process.stdin
    told: Any = process.stdout
    asked.write(json.dumps([function.__module__, function.__name__, args]) + "\n")
    asked.flush()
    line = told.readline()
    answer = json.loads(line) if line else {"error": f"it ended with status {process.wait()}"}
    if "error" in answer:
        raise RuntimeError(f"worker: {function.__module__}.{function.__name__}{args}: {answer['error']}")
    return answer["result"]


def call(flags: str, function: Callable[..., Any], *args: Any) -> Any:
    """What a function of a module returns in the process that has these flags.

    Raises: RuntimeError with the traceback of what went wrong there.
    """
    return _ask(_process(flags), function, args)


def call_fresh(flags: str, function: Callable[..., Any], *args: Any) -> Any:
    """The same in a process of its own."""
    process = _start(flags)
    try:
        return _ask(process, function, args)
    finally:
        _stop(process)


def serve(asked: IO[str], told: IO[str]) -> None:
    """Answers calls, one on each line, until there are no more."""
    for line in asked:
        module, name, args = json.loads(line)
        try:
            answer = {"result": getattr(importlib.import_module(module), name)(*args)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        told.write(json.dumps(answer) + "\n")
        told.flush()


if __name__ == "__main__":
    answers = sys.stdout
    sys.stdout = sys.stderr  # what others print is no answer
    serve(sys.stdin, answers)
