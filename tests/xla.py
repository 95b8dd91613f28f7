"""XLA's flags under which the tests run: programs run for microseconds, so they are compiled fast."""

import os
import subprocess
import sys

FAST = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",  # a step of Adam is compiled in 30 ms, with them in 180
    "--xla_cpu_parallel_codegen_split_count=1",
)
FOUND = "GRADCHAIN_FAST_XLA_FLAGS"  # handed on to the processes that tests start


def starts_with(*flags: str) -> bool:
    """Whether XLA knows the flags: it ends the process at one that it does not know."""
    environment = os.environ | {"XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def fast_compilation() -> list[str]:
    """The flags, without those that the installed XLA does not have."""
    if FOUND not in os.environ:
        known = FAST if starts_with(*FAST) else filter(starts_with, FAST)
        os.environ[FOUND] = " ".join(known)
    return os.environ[FOUND].split()
