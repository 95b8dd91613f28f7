"""The directory of a run: whether it is one, and whether it can be written, before any training."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any

MARKER = "gradchain.json"
"""The file that says what a directory is."""
BAD = "bad"
"""The folder in it of checkpoints that could not be read."""
SCHEMA = 1
"""The version of what is saved. It rises when older versions could not read it any more."""


def prepare(directory: Path, described: dict[str, Any]) -> None:
    """Makes the directory, or checks that it is one of ours, and that this process may write into it.

    Args: described, what the marker says beside the version: of the parameters and the transformation.
    Raises: NotADirectoryError, PermissionError or OSError; ValueError if it holds something else.
    """
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(
            f"fit: directory={str(directory)!r} is a file: give a folder, or a new name."
        )
    if directory.is_dir():
        _check_ours(directory)
    from .. import __version__

    about = {"what": "checkpoints of gradchain.train.fit", "schema": SCHEMA, "gradchain": __version__}
    text = json.dumps(about | described, indent=1)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        marker, new = directory / MARKER, directory / f"{MARKER}.new"
        if marker.exists() and steps_in(directory):
            text = marker.read_text()  # of what is saved there; this run may not fit
        new.write_text(text)  # which tries whether it can be written
        os.replace(new, marker)
    except OSError as error:
        raise type(error)(
            error.errno,
            f"fit: nothing can be saved in directory={str(directory)!r} ({error.strerror}): give one that "
            "this process may write to",
        ) from error


def locked(directory: Path) -> IO[str]:
    """Holds the directory for this process, until the file is closed or the process ends, however it does.

    Raises: BlockingIOError if another process holds it.
    """
    file = (directory / f"{MARKER}.lock").open("a")
    try:
        import fcntl  # which Windows lacks

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        file.close()
        raise BlockingIOError(
            errno.EAGAIN,
            f"fit: another process trains in directory={str(directory)!r}: let it end, or end it, or give "
            "another directory",
        ) from error
    except (ImportError, OSError):
        pass  # not every file system has locks
    return file


def _check_ours(directory: Path) -> None:
    """Raises: ValueError for a folder that holds something else, or is of a newer version."""
    marker = directory / MARKER
    if not marker.exists():
        others = sorted(p.name for p in directory.iterdir() if not p.name.startswith(MARKER))
        if others:
            raise ValueError(
                f"fit: directory={str(directory)!r} holds something else ({', '.join(others[:3])}"
                f"{', ...' if len(others) > 3 else ''}) and no {MARKER}: give a new or empty one. Nothing "
                "in it was touched."
            )
        return
    try:
        schema = int(json.loads(marker.read_text())["schema"])
    except (ValueError, KeyError, TypeError):
        return  # damaged: each checkpoint says for itself what it is
    if schema > SCHEMA:
        raise ValueError(
            f"fit: directory={str(directory)!r} is of schema {schema}; this version of gradchain reads "
            f"schemas up to {SCHEMA}. Install a newer one, or give another directory."
        )


def steps_in(directory: Path) -> list[int]:
    """The steps with a checkpoint that is whole by its name, in order. Orbax renames them when written."""
    names = [p.name for p in directory.iterdir() if p.is_dir()] if directory.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())


def move_aside(directory: Path, step: int) -> Path:
    """Moves the checkpoint of a step to where it does not count. Returns: its new place."""
    folder = directory / BAD
    folder.mkdir(exist_ok=True)
    place, n = folder / str(step), 1
    while place.exists():
        n += 1
        place = folder / f"{step}-{n}"
    shutil.move(directory / str(step), place)
    return place
