"""A collection of texts that every Python brings along: the standard library's docstrings."""

import ast
import re
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np

from .data import Data, Split, hold_out
from .errors import CompareError

# The packages with the most docstrings among those that Python 3.11 to 3.14 all have.
PACKAGES = (
    "asyncio", "email", "http", "importlib", "inspect", "ipaddress", "logging", "mailbox",
    "multiprocessing", "pathlib", "tarfile", "tkinter", "turtle", "typing", "unittest", "urllib",
    "xml",
)  # fmt: skip
FEWEST_WORDS = 4


ALPHABET = " abcdefghijklmnopqrstuvwxyz.,:='()-_"
CONTEXT = 16  # characters of a line
LINES = (4_800, 256, 512)  # for training, validation and test


def texts(package: str) -> list[str]:
    """The docstrings of a package, read from its source without importing it."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = sorted((root / package).rglob("*.py")) or [root / f"{package}.py"]
    found: dict[str, None] = {}  # a set in order, so that what a subclass repeats counts once
    for file in files:
        if {"test", "tests"} & set(file.relative_to(root).parts) or not file.is_file():
            continue
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found[ast.get_docstring(node) or ""] = None
    return list(found)


def docstrings(package: str) -> list[frozenset[str]]:
    """The words of each docstring of a package."""
    bags = [frozenset(re.findall(r"[a-z][a-z_]+", text.lower())) for text in texts(package)]
    return [words for words in bags if len(words) >= FEWEST_WORDS]


def _missing(task: str) -> CompareError:
    return CompareError(
        f"the task {task} needs the sources of Python's standard library, which this "
        "installation does not have. Choose another task."
    )


def characters(folder: Path | None) -> Data:
    """Lines of running text as numbers of characters; the targets are the same lines one character on.

    No docstring is in two parts.
    """
    del folder  # it comes with Python
    every = sorted({text for name in PACKAGES for text in texts(name)})
    order = np.random.default_rng(0).permutation(len(every))
    ends = [int(share * len(every)) for share in (0.65, 0.80, 1.0)]
    parts = [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    streams = [" ".join(map(_plain, (every[i] for i in part))) for part in parts]
    if any(len(stream) <= CONTEXT * n for stream, n in zip(streams, LINES, strict=True)):
        raise _missing("characters")
    return Data(*(_lines(stream, n) for stream, n in zip(streams, LINES, strict=True)))


def _plain(text: str) -> str:
    """A text in the alphabet: small letters, single spaces, some signs."""
    known = re.sub(f"[^{re.escape(ALPHABET)}]", "", " ".join(text.lower().split()))
    return re.sub(" +", " ", known)


def _lines(stream: str, count: int) -> Split:
    """The first lines of a text."""
    column = {character: i for i, character in enumerate(ALPHABET)}
    numbers = np.array([column[character] for character in stream[: CONTEXT * count + 1]], np.int32)
    return Split(numbers[:-1].reshape(count, CONTEXT), numbers[1:].reshape(count, CONTEXT))


def library(folder: Path | None) -> Data:
    """Bags of words, sparse rows of zeros and ones, and the package each docstring is from."""
    del folder  # it comes with Python
    bags = [(k, words) for k, name in enumerate(PACKAGES) for words in docstrings(name)]
    if len({k for k, _ in bags}) < 2:
        raise _missing("text")
    order = np.random.default_rng(0).permutation(len(bags))
    bags = [bags[i] for i in order]
    seen = bags[: int(0.65 * len(bags))]  # only words of the training part get a column
    counts = Counter(word for _, words in seen for word in words)
    column = {w: i for i, w in enumerate(sorted(w for w, n in counts.items() if n > 1))}
    inputs = np.zeros((len(bags), len(column)), np.float32)
    for row, (_, words) in enumerate(bags):
        inputs[row, [column[w] for w in words if w in column]] = 1.0
    rest, test = hold_out(Split(inputs, np.array([k for k, _ in bags], np.int32)), 0.20)
    return Data(*hold_out(rest, 0.15 / 0.80), test)
