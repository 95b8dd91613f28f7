"""Imported before all else: where this process is the command, it listens for Ctrl-C from here on.

Importing JAX takes a second. `gradchain/__init__.py` begins with this module, since Python runs that
file first, both for `gradchain` and for `python -m gradchain`.
"""

import os
import sys

from .interruption import listen


def is_command() -> bool:
    """Whether this process is `gradchain ...` or `python -m gradchain ...`."""
    argv = getattr(sys, "argv", None) or [""]
    if argv[0] == "-m":  # so it is called while Python looks for the module's file
        return sys.orig_argv[-len(argv)] in ("gradchain", "-mgradchain")
    return os.path.basename(argv[0]) in ("gradchain", "gradchain.exe")


if is_command():
    listen()
