"""Imported before all else: where this process is the command, it listens for Ctrl-C from here on.

Importing JAX takes a second. `gradchain/__init__.py` begins with this module, since Python runs that
file first, both for `gradchain` and for `python -m gradchain`. To be early, it imports little itself:
not even `typing`.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

WORDS = {int(signal.SIGINT): "interrupted", int(signal.SIGTERM): "terminated"}
CODES = {number: 128 + number for number in WORDS}  # what a shell reports


def end(code: int) -> None:
    """Ends the process at once, after what was printed has been shown.

    The interpreter is not torn down: XLA's threads would crash in it.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # a closed pipe, or the signal came while it was written to
            continue
    os._exit(code)


def end_by(number: int, frame: FrameType | None = None) -> None:
    """A signal handler that says what happened and ends the process."""
    try:
        os.write(2, f"gradchain: {WORDS[number]}.\n".encode())
    finally:
        end(CODES[number])


Handler = Callable[[int, FrameType | None], object] | signal.Handlers | int | None


def install(handler: Handler = end_by) -> dict[int, Handler]:
    """Installs a handler for both signals and returns the handlers before it.

    A signal that is ignored stays so: a shell starts its background jobs with Ctrl-C ignored.
    """
    heard = [number for number in WORDS if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        return {number: signal.signal(number, handler) for number in heard}
    except ValueError:  # only the main thread may, so another one goes without
        return {}


def is_command() -> bool:
    """Whether this process is `gradchain ...` or `python -m gradchain ...`."""
    argv = getattr(sys, "argv", None) or [""]
    if argv[0] == "-m":  # so it is called while Python looks for the module's file
        return sys.orig_argv[-len(argv)] in ("gradchain", "-mgradchain")
    return os.path.basename(argv[0]) in ("gradchain", "gradchain.exe")


if is_command():
    install()
