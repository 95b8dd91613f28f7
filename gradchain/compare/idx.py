"""The IDX format of the MNIST files: a magic number, the sizes, then the bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from .data import Data, Split, hold_out
from .errors import CompareError

UNSIGNED_BYTE = 0x08
FILES = {
    "train inputs": ("train-images-idx3-ubyte", 3),
    "train targets": ("train-labels-idx1-ubyte", 1),
    "test inputs": ("t10k-images-idx3-ubyte", 3),
    "test targets": ("t10k-labels-idx1-ubyte", 1),
}


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Reads one IDX file of unsigned bytes, plain or gzipped.

    Raises:
      CompareError: which file, what was expected, and what was found.
    """
    content = _content(path)
    expected = UNSIGNED_BYTE << 8 | dimensions
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise CompareError(
            f"{path}: expected a header of {header} bytes, found only {len(content)} bytes; "
            "the file is truncated. Download it again."
        )
    (magic,) = struct.unpack(">I", content[:4])
    if magic != expected:
        raise CompareError(
            f"{path}: expected the magic number {expected:#010x} (unsigned bytes in {dimensions} "
            f"dimension{'s' * (dimensions > 1)}), found {magic:#010x}. Is it another file?"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        cut = "truncated" if len(content) - header < math.prod(shape) else "too long"
        raise CompareError(
            f"{path}: expected {math.prod(shape)} bytes of data for its shape {shape}, found "
            f"{len(content) - header}; the file is {cut}. Download it again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytes:
    """The bytes of a file, unzipped where they are zipped (whatever the file's name says)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CompareError(f"{path}: cannot be read: {error.strerror}.") from None
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise CompareError(
            f"{path}: expected a whole gzip file, found a damaged or truncated one ({error}). "
            "Download it again."
        ) from None


def _find(folder: Path, name: str) -> Path:
    """The file of this name, also zipped, and also with the dot that some mirrors write."""
    names = [name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"]
    for candidate in names:
        if (folder / candidate).is_file():
            return folder / candidate
    there = sorted(p.name for p in folder.iterdir())
    found = f"found {', '.join(there[:6])}{' ...' * (len(there) > 6)}" if there else "it is empty"
    raise CompareError(f"--data {folder}: expected {name} or {name}.gz, {found}.")


def mnist(folder: Path | None) -> Data:
    """The four MNIST files of a folder, pixels in [0, 1]. The last training images are for validation."""
    if folder is None:
        raise CompareError(
            "the task mnist needs --data DIR, a folder with the four IDX files "
            f"({', '.join(name for name, _ in FILES.values())}), plain or .gz."
        )
    if not folder.exists():
        raise CompareError(f"--data {folder}: there is no such folder.")
    if not folder.is_dir():
        raise CompareError(f"--data {folder}: expected a folder, found a file.")
    paths = {what: _find(folder, name) for what, (name, _) in FILES.items()}
    read = {what: read_idx(paths[what], FILES[what][1]) for what in FILES}
    for part in ("train", "test"):
        inputs, targets = read[f"{part} inputs"], read[f"{part} targets"]
        if len(inputs) != len(targets):
            raise CompareError(
                f"{paths[f'{part} targets']}: expected {len(inputs)} labels, one for each image of "
                f"{paths[f'{part} inputs'].name}, found {len(targets)}."
            )
        if not len(inputs):
            raise CompareError(f"{paths[f'{part} inputs']}: expected images, found none.")
        if targets.max() > 9:
            raise CompareError(
                f"{paths[f'{part} targets']}: expected labels from 0 to 9, found {targets.max()}."
            )
    here, there = read["train inputs"].shape[1:], read["test inputs"].shape[1:]
    if here != there:
        raise CompareError(
            f"{paths['test inputs']}: expected images of {_in_words(here)} pixels as in "
            f"{paths['train inputs'].name}, found {_in_words(there)}."
        )
    train, validation = hold_out(_split(read, "train"), 1 / 12)
    return Data(train, validation, _split(read, "test"))


def _in_words(shape: tuple[int, ...]) -> str:
    """A shape as `28 x 28`."""
    return " x ".join(map(str, shape))


def _split(read: dict[str, np.ndarray], part: str) -> Split:
    inputs = read[f"{part} inputs"]
    flat = inputs.reshape(len(inputs), -1).astype(np.float32) / np.float32(255)
    return Split(flat, read[f"{part} targets"].astype(np.int32))
