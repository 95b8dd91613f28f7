"""Several processes of one program, as on several machines: started together, bounded in time."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from xla import fast_compilation

HERE = Path(__file__).parent
LIMIT = 120.0
"""Seconds until processes that have not ended are killed."""
PRELUDE = """
import json, os, sys
import jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
PROCESS, PROCESSES, PORT = (int(os.environ[name]) for name in ("PROCESS", "PROCESSES", "PORT"))

def tell(value):
    "What this process found, for the test."
    with open(os.environ["TOLD"], "w") as file:
        json.dump(value, file)
"""
JOINED = """
jax.distributed.initialize(f"127.0.0.1:{PORT}", PROCESSES, PROCESS, initialization_timeout=60)
"""


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def environment(devices: int) -> dict[str, str]:
    """The environment of a process with this many devices, which finds the tests' modules."""
    paths = [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": " ".join([f"--xla_force_host_platform_device_count={devices}", *fast_compilation()]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def together(
    code: str, processes: int, devices: int, *, join: bool = True, limit: float = LIMIT
) -> list[Any]:
    """Runs `code` in several processes at once; what each gave to `tell`, in order.

    Args:
        code: Python, after `PRELUDE`, which defines PROCESS, PROCESSES, PORT and tell.
        processes, devices: how many, and how many devices each.
        join: whether they first join by `jax.distributed`, at PORT.
        limit: seconds.
    Raises: AssertionError, with what it wrote, if a process fails or does not end in time.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for i in range(processes):
            told, log = Path(folder, f"{i}.json"), Path(folder, f"{i}.log")
            own = {"PROCESS": str(i), "PROCESSES": str(processes), "PORT": str(port), "TOLD": str(told)}
            program = PRELUDE + (JOINED if join else "") + code
            with log.open("w") as file:
                process = subprocess.Popen(
                    [sys.executable, "-c", program],
                    env=environment(devices) | own,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            started.append((process, told, log))
        try:
            for process, _, log in started:
                try:
                    code_of_exit = process.wait(timeout=limit)
                except subprocess.TimeoutExpired:
                    raise AssertionError(f"did not end in {limit} s:\n{log.read_text()[-3000:]}") from None
                assert code_of_exit == 0, log.read_text()[-3000:]
            return [json.loads(told.read_text()) for _, told, _ in started]
        finally:
            for process, _, _ in started:
                process.kill()
                process.wait()
