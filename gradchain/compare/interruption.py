"""Ctrl-C that is not lost."""

import contextlib
import signal
from types import FrameType
from typing import Any


class Interruption:
    """While entered, remembers Ctrl-C as well as raising it.

    Python drops an exception that is raised inside a callback of the garbage collector, and JAX has
    such callbacks: a `KeyboardInterrupt` that falls into one is gone. `check` raises it again.
    """

    asked = False

    def __enter__(self) -> "Interruption":
        self.previous: Any = None
        with contextlib.suppress(ValueError):  # only the main thread may
            self.previous = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *unused: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed and lost."""
        if self.asked:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if frame is not None and frame.f_code.co_name.endswith("gc_callback"):
            return  # raised here, it would only be printed and dropped
        raise KeyboardInterrupt
