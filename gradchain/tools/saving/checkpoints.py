"""States in files and folders: written whole or not at all, read with every check."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ...core import GradientTransformation
from ...core.types import OptState, Params
from .document import METADATA, CheckpointError, document_of
from .folders import read_folder, write_folder
from .formats import FORMATS, write_whole
from .libraries import needed
from .state_dict import fitted, fitted_params, flat

Name = str | Path


def save(path: Name, tx: GradientTransformation, state: OptState, params: Params = None) -> None:
    """Saves a state, and the parameters, in one file or folder.

        save("state.npz", tx, state, params)

    The suffix says how: `.npz` needs nothing more; `.safetensors`, Flax's `.msgpack`, and no suffix for a
    folder of Orbax need these libraries: `pip install "gradchain[save]"`. What is in it is described at
    `state_to_dict`; the parameters are beside it, as "params/encoder/kernel". A file is written under
    another name, then moved to its place: if something fails, the old one stays. A folder is never
    overwritten.

    Args: path, in a folder that exists; tx; state, of its `init` or of a step; params, if they are to be
        in it.
    Raises: ValueError for an unknown suffix, or a state that is not of `tx`; FileExistsError for a folder
        that is there; ImportError, with the command to install it, if a library is missing; OSError.
    """
    path = Path(path)
    _check_suffix("save", path)
    d = flat("save", tx, state, params)
    if path.suffix == "":
        return write_folder(path, d)
    arrays = {name: _whole(name, path, value) for name, value in d.items()}
    arrays[METADATA] = document_of("save", d)._replace(crc32=_checksum(arrays)).as_array()
    with needed("save", path):
        write_whole(path, lambda to: FORMATS[path.suffix].write(to, arrays))


def load(path: Name, tx: GradientTransformation, like: OptState, params: Params = None) -> Any:
    """The state that `save` wrote, in the structure, dtypes and shardings of another one.

        state = load("state.npz", tx, tx.init(params))
        params, state = load("state.npz", tx, tx.init(params), params)

    Args:
        path: what `save` wrote, in any of the four formats.
        tx: the transformation that will use it.
        like: a state of `tx`, or `jax.eval_shape(tx.init, params)`. It stays as it is, whatever happens.
        params: parameters, or their shapes, if those in the file are wanted too.

    Returns: the state; with `params`, the parameters and the state.
    Raises: FileNotFoundError; CheckpointError for a file that is cut off or damaged, of another
        transformation, of other shapes, or of a newer schema, with the entries' names.
    """
    d = load_dict(path)
    document = document_of("load", d)
    state = fitted("load", tx, like, d, document)
    return state if params is None else (fitted_params("load", params, d, document), state)


def load_dict(path: Name) -> dict[str, Any]:
    """What `save` wrote as a flat dict of arrays, for `migrate_state`, or to look at.

    Raises: FileNotFoundError; CheckpointError for a file that is cut off or damaged.
    """
    path = Path(path)
    _check_suffix("load", path)
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob(f"{path.stem}*"))[:3] if path.parent.exists() else []
        hint = f" There is {', '.join(near)}." if near else ""
        raise FileNotFoundError(f"load: there is no {path}.{hint}")
    if path.suffix == "":
        return dict(read_folder(path))
    try:
        with needed("load", path):
            arrays = FORMATS[path.suffix].read(path)
    except (ImportError, OSError, MemoryError):
        raise
    except Exception as error:  # each library has its own classes
        raise CheckpointError(
            f"load: {path} is not whole, or no {path.suffix} file ({type(error).__name__}: {error}); it "
            f"has {path.stat().st_size:,} bytes. Restore an older one."
        ) from error
    expected = document_of(f"load {path}", arrays).crc32
    if expected is not None and expected != _checksum(arrays):
        raise CheckpointError(f"load: {path} is damaged: its checksum differs. Restore an older one.")
    return dict(arrays)


def _check_suffix(who: str, path: Path) -> None:
    if path.suffix and path.suffix not in FORMATS:
        raise ValueError(
            f"{who}: {path.name} has an unknown suffix: expected {', '.join(FORMATS)}, or none for a "
            "folder of Orbax."
        )


def _checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """A checksum of all arrays but the description, whatever their dtypes are called."""
    total = 0
    for name in sorted(arrays):
        if name != METADATA:
            total = zlib.crc32(name.encode(), total)
            total = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data, total)
    return total


def _whole(name: str, path: Path, value: Any) -> np.ndarray:
    """An array in this process's memory."""
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        raise ValueError(
            f"save: {name} is spread over several processes, which {path.suffix} files cannot hold: save "
            "to a folder of Orbax, whose name has no suffix."
        )
    return np.asarray(value)
