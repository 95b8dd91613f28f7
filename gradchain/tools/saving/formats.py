"""Flat dicts of arrays in files: one reader and one writer for each format."""

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class Format(NamedTuple):
    """How to write a dict of arrays into a file, and how to read it."""

    write: Callable[[Path, Mapping[str, np.ndarray]], None]
    read: Callable[[Path], Arrays]  # raises ValueError, or what the format's library raises


def as_bytes(array: np.ndarray) -> np.ndarray:
    """An array as its bytes, for a format that does not know its dtype; the description does."""
    return np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a `.npz`, as `np.savez` does; dtypes that NumPy lacks go as bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            plain = array if array.dtype.isbuiltin == 1 else as_bytes(array)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, plain, allow_pickle=False)


def read_npz(path: Path) -> Arrays:
    """Reads a `.npz`; nothing is unpickled."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
                file.read()  # to the end, where the archive's own checksum is
            arrays[member.removesuffix(".npy")] = array
    return arrays


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a `.safetensors`; dtypes that it lacks go as bytes."""
    from safetensors.numpy import save_file

    known = {name: a if a.dtype.name in SAFETENSORS else as_bytes(a) for name, a in arrays.items()}
    save_file({name: np.ascontiguousarray(a).reshape(a.shape) for name, a in known.items()}, path)


def read_safetensors(path: Path) -> Arrays:
    """Reads a `.safetensors`. Its own reader for NumPy knows no bfloat16."""
    from safetensors import deserialize

    arrays = {}
    for name, tensor in deserialize(path.read_bytes()):
        kind = _SAFETENSORS_NAMES.get(tensor["dtype"])
        if kind is None:
            raise ValueError(f"{name} has the dtype {tensor['dtype']}, which gradchain does not write")
        arrays[name] = np.frombuffer(bytes(tensor["data"]), np.dtype(kind)).reshape(tensor["shape"])
    return arrays


_SAFETENSORS_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32",
    "I32": "int32", "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32",
    "F64": "float64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64",
}  # fmt: skip
SAFETENSORS = frozenset(_SAFETENSORS_NAMES.values()) - {"complex64"}
"""The dtypes that safetensors has a name for in all its versions."""


def write_msgpack(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes what Flax's `msgpack_serialize` makes."""
    from flax.serialization import msgpack_serialize

    path.write_bytes(msgpack_serialize(dict(arrays)))


def read_msgpack(path: Path) -> Arrays:
    """Reads what Flax's `msgpack_serialize` made."""
    from flax.serialization import msgpack_restore

    content = msgpack_restore(path.read_bytes())
    if not (isinstance(content, dict) and all(hasattr(x, "dtype") for x in content.values())):
        raise ValueError("it holds something else than a flat dict of arrays")
    return {str(name): np.asarray(x) for name, x in content.items()}


FORMATS = {
    ".npz": Format(write_npz, read_npz),
    ".safetensors": Format(write_safetensors, read_safetensors),
    ".msgpack": Format(write_msgpack, read_msgpack),
}
"""By the suffix of the file."""


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file beside its place, and moves it there when it is whole and on the disk.

    Whatever fails, the old file stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        write(temporary)
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the renaming too
        _flush(path.parent, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    """Waits until a file or folder is on the disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
