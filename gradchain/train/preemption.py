"""SIGTERM and Ctrl-C while a run trains: the step is finished and saved first.

The handlers raise no exception. JAX has callbacks that would drop it, and C++ code that would crash.
"""

import signal
import sys
import threading
from types import FrameType
from typing import Any

import jax


class Preempted(SystemExit):
    """The process got SIGTERM; the run is saved at `step`. Uncaught, it ends with exit code 143.

    143 is 128 + 15, what a shell reports of a process that SIGTERM ended. The same command goes on.
    """

    def __init__(self, step: int, directory: str):
        super().__init__(128 + int(signal.SIGTERM))
        self.step, self.directory = step, directory

    def __str__(self) -> str:
        return f"preempted by SIGTERM; step {self.step} is saved in {self.directory}"


class Signals:
    """While entered, the first SIGTERM or Ctrl-C is only noted. The second does what it did before.

    Where several processes train, JAX hears SIGTERM, and agrees with the others on the step after which all
    stop; Ctrl-C is left alone there.

    Args: heard, whether to listen at all.
    """

    def __init__(self, heard: bool):
        several = jax.process_count() > 1
        self.agreed = heard and several
        self.numbers = (signal.SIGTERM, signal.SIGINT) if heard and not several else ()
        self.number: int | None = None  # of the signal that came
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():  # no other may have handlers
            for number in self.numbers:
                old = signal.getsignal(number)
                # What is ignored stays so, as Ctrl-C in a shell's background jobs, and what C installed.
                if old is not signal.SIG_IGN and old is not None:
                    self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def came(self, step: int) -> bool:
        """Whether to stop after these steps: the same answer in all processes."""
        if self.agreed:
            from jax.experimental import multihost_utils

            if multihost_utils.reached_preemption_sync_point(step):
                self.number = int(signal.SIGTERM)
        return self.number is not None

    def end(self, step: int, directory: str) -> None:
        """Raises what the signal asks for, when the run is saved. Does nothing if none came."""
        if self.number == signal.SIGTERM:
            end = Preempted(step, directory)
            print(f"fit: {end}.", file=sys.stderr, flush=True)  # Python says nothing of a SystemExit
            raise end
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt(f"step {step} is saved in {directory}")

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
        else:
            self.__exit__()
            signal.raise_signal(number)
