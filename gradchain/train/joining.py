"""Several processes of one program, joined."""

import time

import jax

from .rendezvous import meet


def join_processes(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: float = 300.0,
) -> None:
    """Joins this process to the others of the program: `jax.distributed.initialize`, with a clear error.

    Where a process never comes, JAX ends the others with a stack trace of C++. Here all processes meet
    first, and those that wait raise a TimeoutError that names the missing ones.

    Args:
        coordinator_address: "host:port" of process 0, the same in all processes; the port must be free.
        num_processes: how many there are. process_id: which one this is, from 0.
        timeout: seconds until all must be there.

    Without arguments, JAX finds all three by itself, on TPU pods and under SLURM, Open MPI and Kubernetes.
    On a CPU, arrays travel by Gloo. Call it before anything asks JAX for devices.

    Raises: TimeoutError; ValueError for arguments that do not fit, or two processes of one number.
    """
    given = (coordinator_address, num_processes, process_id)
    if None in given and given != (None, None, None):
        raise ValueError(
            "join_processes: give coordinator_address, num_processes and process_id, or none of them, "
            f"received {coordinator_address!r}, {num_processes!r}, {process_id!r}."
        )
    begun = time.monotonic()
    if coordinator_address is None or num_processes is None or process_id is None:
        _use_gloo()
        jax.distributed.initialize(initialization_timeout=max(int(timeout), 1))
        return
    if not 0 <= process_id < num_processes:
        raise ValueError(
            f"join_processes: process_id must be at least 0 and below num_processes={num_processes}, "
            f"received {process_id}."
        )
    if not coordinator_address.rpartition(":")[2].isdecimal() or ":" not in coordinator_address:
        raise ValueError(
            f'join_processes: coordinator_address must be "host:port", received {coordinator_address!r}.'
        )
    meet(coordinator_address, num_processes, process_id, timeout)
    left = max(int(timeout - (time.monotonic() - begun)), 10)
    _use_gloo()
    jax.distributed.initialize(coordinator_address, num_processes, process_id, initialization_timeout=left)


def _use_gloo() -> None:
    """On a CPU, arrays travel by Gloo. Not before all are there: alone, older JAX would start no more."""
    if "jax_cpu_collectives_implementation" in jax.config.values:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
