"""The console script `gradchain`, which works, or says what is missing."""

import sys
from importlib.util import find_spec

from . import starting

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
    starting.install()
    from .command import gradchain  # here, since it needs those packages

    try:
        gradchain(prog_name="gradchain")
    except SystemExit as done:  # click always raises it, with a number
        starting.end(done.code if isinstance(done.code, int) else 1)
