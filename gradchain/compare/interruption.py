"""Ctrl-C and SIGTERM while the command trains: what is finished is kept.

The signals raise no exception. JAX has callbacks that would drop it, and C++ code that would crash.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType

from . import starting
from .starting import CODES, WORDS

ONE_PRESS = 0.3  # seconds; `timeout` and `uv run` pass a single Ctrl-C on twice


class Interruption:
    """While entered, the first signal is only noted, so that what is finished can be written.

    A second one, which is no echo of the first, ends the process at once.

    Args:
        tell: called at the first signal, from its handler: it may only do what is safe there, such as
            `SimpleQueue.put`.
    """

    def __init__(self, tell: Callable[[], None]):
        self.tell = tell
        self.number: int | None = None  # of the signal that came, if one did
        self.came = 0.0  # when

    def __enter__(self) -> "Interruption":
        self.before = starting.install(self._note)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @property
    def word(self) -> str:
        """What happened, as a word."""
        return WORDS[self.number] if self.number else "not interrupted"

    @property
    def code(self) -> int:
        """The exit code: 0 if no signal came."""
        return CODES[self.number] if self.number else 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number, self.came = number, time.monotonic()
            self.tell()
        elif time.monotonic() - self.came > ONE_PRESS:
            starting.end_by(number)
