"""Flat dicts of arrays in folders of Orbax."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .document import METADATA, CheckpointError, document_of
from .libraries import needed


def write_folder(path: Path, d: Mapping[str, Any]) -> None:
    """Writes a folder, from every process of the program. Orbax moves it to its place when it is whole."""
    if path.exists():
        raise FileExistsError(
            f"save: the folder {path} is there already, and folders are not overwritten: give each step a "
            "name of its own."
        )
    with needed("save", path):
        import orbax.checkpoint as ocp
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.absolute(), dict(d))
        checkpointer.wait_until_finished()


def read_folder(path: Path) -> dict[str, Any]:
    """Reads a folder, whole arrays in every process.

    Raises: CheckpointError if it is not whole, or not of this kind.
    """
    with needed("load", path):
        import orbax.checkpoint as ocp

    def read(names: Iterable[str]) -> dict[str, Any]:
        how = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
        return checkpointer.restore(
            path.absolute(), item=dict.fromkeys(how, 0), restore_args=how, transforms={}
        )

    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            description = read([METADATA])
            document = document_of(f"load {path}", description)
            specs = {**document.entries, **(document.params or {})}
            return description | read([name for name, spec in specs.items() if not spec.empty])
    except CheckpointError:
        raise
    except Exception as error:  # Orbax and its libraries have classes of their own
        raise CheckpointError(
            f"load: {path} is not whole, or save did not write it ({type(error).__name__}: {error}). "
            "Restore an older one."
        ) from error
