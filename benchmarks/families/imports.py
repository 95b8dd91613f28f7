"""How long `import` takes in a fresh interpreter that has imported JAX already."""

import subprocess
import sys
from functools import partial

from ..harness import LIBRARIES, Figure, benchmark, in_turns

PROGRAM = "import time, jax; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def _import(library: str) -> dict[str, float]:
    program = [sys.executable, "-c", PROGRAM.format(library)]
    return {"import": float(subprocess.run(program, check=True, capture_output=True).stdout)}


@benchmark("import", "`import` beyond `import jax`")
def run(repeats: int) -> list[Figure]:
    """Compiled bytecode is there already: one run of each goes uncounted."""
    actions = {library: partial(_import, library) for library in LIBRARIES}
    in_turns(actions, 1)
    samples = in_turns(actions, 2 * repeats)
    return [Figure("import", "s", samples["import"], most=0.05)]
