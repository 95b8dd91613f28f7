"""How long `import` takes in a fresh interpreter that has imported JAX already."""

import os
import subprocess
import sys
import tempfile
from functools import partial

from ..harness import LIBRARIES, Figure, benchmark, in_turns

PROGRAM = "import time, jax; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def _import(library: str, bytecode: str) -> dict[str, float]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    program = [sys.executable, "-c", PROGRAM.format(library)]
    printed = subprocess.run(
        program, check=True, capture_output=True, env=env | {"PYTHONPYCACHEPREFIX": bytecode}
    )
    return {"import": float(printed.stdout)}


@benchmark("import", "`import` beyond `import jax`")
def run(repeats: int) -> list[Figure]:
    """Both libraries' bytecode is written to a folder of its own by a run that does not count.

    Whether it was there already would depend on who installed them, and with what.
    """
    with tempfile.TemporaryDirectory() as bytecode:
        actions = {library: partial(_import, library, bytecode) for library in LIBRARIES}
        in_turns(actions, 1)
        samples = in_turns(actions, 2 * repeats)
    return [Figure("import", "s", samples["import"], most=0.05)]
