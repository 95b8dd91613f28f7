"""Libraries that only some tools need."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def needed(who: str, path: Path) -> Iterator[None]:
    """Tells how to install what a format needs.

    Raises: ImportError, with the command.
    """
    try:
        yield
    except ImportError as error:
        kind = f"{path.suffix} files" if path.suffix else "folders of Orbax"
        raise ImportError(
            f'{who}: {path.name}: {kind} need {error.name}: install it with pip install "gradchain[save]", '
            "or use .npz."
        ) from error
