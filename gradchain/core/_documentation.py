"""Arguments that mean the same everywhere are described once, here, and shown by `help()`."""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from ._values import signature

COMMON = {
    "learning_rate": "a number, an array or a schedule.",
    "b1": "decay of the first moment, in [0, 1).",
    "b2": "decay of the second moment, in [0, 1).",
    "eps": "added outside the square root, at least 0.",
    "eps_root": "added inside the square root, at least 0.",
    "mu_dtype": "dtype of the first moment, by default the parameter's.",
    "nu_dtype": "dtype of the second moment, by default real and at least float32.",
    "nesterov": "Nesterov momentum.",
    "weight_decay": "decoupled weight decay, a number, an array or a schedule: this times the parameter is "
    "added to the step before the learning rate.",
    "mask": "where to decay: a tree of booleans like the parameters or a prefix of them, or a function "
    "from the parameters to one.",
    "weight_decay_mask": "where to decay: a tree of booleans like the parameters or a prefix of them, or a "
    "function from the parameters to one.",
}
"""By argument: its description wherever a factory does not give its own."""

_REFERENCE = re.compile(r": see `(\w+)`\.$")
_ENTRY = re.compile(r"(\w+(?:, \w+)*): ")
_WIDTH = 100


def completed(factory: Callable[..., Any]) -> str | None:
    """The docstring of a factory with an entry for every argument, in the order of the signature."""
    doc = inspect.getdoc(factory)
    if doc is None:
        return None
    before, own, after = _parts(doc)
    entries: list[str] = []
    names = list(signature(factory).parameters)
    for name in names:
        entry = _looked_up(factory, name, own.get(name))
        if entry is None and name in COMMON:
            is_alias = name == "weight_decay_mask" and "mask" in names
            entry = _filled(f"{name}: {'another name of mask.' if is_alias else COMMON[name]}")
        if entry is not None and entry not in entries:
            entries.append(entry)
    if not entries:
        return doc
    return "\n".join([before.rstrip(), "", "Args:", *entries, "", after.lstrip("\n")]).rstrip()


@functools.cache
def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="        ")


def _looked_up(factory: Callable[..., Any], name: str, entry: str | None) -> str | None:
    """The entry of an argument; where it only says "see `x`", the one that `x` has."""
    found = entry and "see `" in entry and _REFERENCE.search(" ".join(entry.split()))
    source = found and getattr(inspect.unwrap(factory), "__globals__", {}).get(found.group(1))
    if not source:
        return entry
    return _entries(source).get(name, entry)


@functools.lru_cache(maxsize=64)  # many arguments of a factory are described by one other
def _entries(factory: Callable[..., Any]) -> dict[str, str]:
    """The entries of a factory, by argument."""
    return _parts(inspect.getdoc(factory) or "")[1]


@functools.lru_cache(maxsize=16)
def _parts(doc: str) -> tuple[str, dict[str, str], str]:
    """What stands before the entries of `Args:`, the entries by argument, and what stands after."""
    lines = doc.split("\n")
    start = next((i for i, line in enumerate(lines) if line.strip() == "Args:"), None)
    if start is None:
        sections = re.compile(r"^(Args|State|Memory|Raises|Returns|Reference|Example):( |$)")
        split = next((i for i, line in enumerate(lines) if sections.match(line)), len(lines))
        if split < len(lines) and lines[split].startswith("Args: "):
            return doc, {}, ""  # a short list in one sentence describes all arguments
        return "\n".join(lines[:split]), {}, "\n".join(lines[split:])
    end, entries = start + 1, list[str]()
    while end < len(lines) and lines[end].startswith("    "):
        if lines[end].startswith("     ") and entries:  # goes on
            entries[-1] += f"\n{lines[end]}"
        else:
            entries.append(lines[end])
        end += 1
    own: dict[str, str] = {}
    for entry in entries:
        found = _ENTRY.match(" ".join(entry.split()))
        own |= dict.fromkeys(found.group(1).split(", ") if found else (), entry)
    return "\n".join(lines[:start]), own, "\n".join(lines[end:])
