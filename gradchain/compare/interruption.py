"""Ctrl-C and SIGTERM: one line and one exit code, whatever is going on.

No exception is raised for them. It could land in a callback that drops it, or in C++ code that cannot
pass it on; JAX has both. Nor is the interpreter torn down: XLA's threads would crash in it.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
CODES = {int(number): 128 + number for number in WORDS}  # what a shell reports
ONE_PRESS = 0.3  # seconds; `timeout` and `uv run` pass a single Ctrl-C on twice


def end(code: int) -> NoReturn:
    """Ends the process at once, after what was printed has been shown."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a closed pipe, or a signal that came while it was written to
            stream.flush()
    os._exit(code)


def end_by(number: int, frame: Any = None) -> NoReturn:
    """A signal handler that says what happened and ends the process."""
    with contextlib.suppress(OSError):
        os.write(2, f"gradchain: {WORDS[signal.Signals(number)]}.\n".encode())
    end(CODES[number])


def listen(handler: Any = end_by) -> dict[signal.Signals, Any]:
    """Installs a handler for both signals and returns the handlers before it.

    A signal that is ignored stays so: a shell starts its background jobs with Ctrl-C ignored.
    """
    heard = [number for number in WORDS if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        return {number: signal.signal(number, handler) for number in heard}
    except ValueError:  # only the main thread may, so another one goes without
        return {}


def ignore() -> None:
    """Hears the signals no more."""
    listen(signal.SIG_IGN)


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
        self.came = 0.0

    def __enter__(self) -> "Interruption":
        self.before = listen(self._note)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @property
    def word(self) -> str:
        """What happened, as a word."""
        return WORDS[signal.Signals(self.number)] if self.number else "not interrupted"

    @property
    def code(self) -> int:
        """The exit code: 0 if no signal came."""
        return CODES[self.number] if self.number else 0

    def _note(self, number: int, frame: Any) -> None:
        if self.number is None:
            self.number, self.came = number, time.monotonic()
            self.tell()
        elif time.monotonic() - self.came > ONE_PRESS:
            end_by(number)
