"""The console script `gradchain`, which works, or says what is missing."""

import sys
from importlib.util import find_spec

from .interruption import Interruption

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
    try:
        with Interruption() as interruption:
            from .command import gradchain  # here, since it needs those packages

            interruption.check()
        gradchain(prog_name="gradchain")
    except KeyboardInterrupt:  # before training or after it: there is nothing to be kept
        print("gradchain: interrupted.", file=sys.stderr)
        sys.exit(130)
