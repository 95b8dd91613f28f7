"""A text collection that every Python brings along: the standard library's docstrings."""

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


def docstrings(package: str) -> list[frozenset[str]]:
    """The words of each docstring of a package, read from its source without importing it."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = sorted((root / package).rglob("*.py")) or [root / f"{package}.py"]
    found: dict[str, frozenset[str]] = {}  # by text, so that what a subclass repeats counts once
    for file in files:
        if {"test", "tests"} & set(file.relative_to(root).parts) or not file.is_file():
            continue
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                found[text] = frozenset(re.findall(r"[a-z][a-z_]+", text.lower()))
    return [words for words in found.values() if len(words) >= FEWEST_WORDS]


def library(folder: Path | None) -> Data:
    """Bags of words, sparse rows of zeros and ones, and the package each docstring is from."""
    del folder  # it comes with Python
    texts = [(k, words) for k, name in enumerate(PACKAGES) for words in docstrings(name)]
    if len({k for k, _ in texts}) < 2:
        raise CompareError(
            "the task text needs the sources of Python's standard library, which this "
            "installation does not have. Choose another task."
        )
    order = np.random.default_rng(0).permutation(len(texts))
    texts = [texts[i] for i in order]
    seen = texts[: int(0.65 * len(texts))]  # only words of the training part get a column
    counts = Counter(word for _, words in seen for word in words)
    column = {w: i for i, w in enumerate(sorted(w for w, n in counts.items() if n > 1))}
    inputs = np.zeros((len(texts), len(column)), np.float32)
    for row, (_, words) in enumerate(texts):
        inputs[row, [column[w] for w in words if w in column]] = 1.0
    rest, test = hold_out(Split(inputs, np.array([k for k, _ in texts], np.int32)), 0.20)
    return Data(*hold_out(rest, 0.15 / 0.80), test)
