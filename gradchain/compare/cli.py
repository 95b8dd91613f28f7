"""The console script `gradchain`, which works, or says what is missing."""

import sys
from importlib.util import find_spec

from . import interruption

NEEDED = ("click", "flax", "matplotlib", "rich", "sklearn")


def main() -> None:
    """Runs the command line."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"gradchain: the command needs packages that are not installed ({', '.join(missing)}); "
            'install them with: pip install "gradchain[compare]"',
            file=sys.stderr,
        )
        sys.exit(2)
    interruption.listen()
    from .command import gradchain  # here, since it needs those packages

    try:
        gradchain(prog_name="gradchain")
    except SystemExit as done:
        if isinstance(done.code, int) and done.code in interruption.CODES.values():
            interruption.end(done.code)  # XLA may still be at work in the training thread
        interruption.ignore()  # all is done: too late to interrupt anything
        raise
