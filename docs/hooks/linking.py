"""Names in backticks become links to the public names that they are."""

import functools
import inspect
import re
from collections.abc import Collection

from .public import entries

_TOKENS = re.compile(
    r"(?P<skip>^(?P<fence> *(?:```+|~~~+)).*?^(?P=fence)[ ]*$"  # a block of code
    r"|^#+ .*?$"  # a heading
    r"|\[(?:[^\[\]]|\[[^\]]*\])*\]\([^)]*\)|\[(?:[^\[\]])*\]\[[^\]]*\]"  # a link
    r"|``+[^`].*?``+)"
    r"|`(?P<name>(?:gc\.|gradchain\.)?[A-Za-z_][\w.]*)(?P<call>\([^`]*\))?`",
    re.M | re.S,
)


@functools.cache
def paths() -> dict[str, str]:
    """By what may stand in backticks: the path of the public name."""
    found: dict[str, str] = {}
    for path, entry in entries().items():
        for name in (path, *entry.aliases):
            found.setdefault(name, path)
    return found


@functools.cache
def ambiguous() -> set[str]:
    """Names that are also an argument or a field of something: alone, they may mean this."""
    found: set[str] = set()
    for entry in entries().values():
        if inspect.isfunction(entry.value):
            found |= set(inspect.signature(entry.value).parameters)
        found |= set(getattr(entry.value, "_fields", ()))
    return found


def target(name: str) -> str | None:
    """The path of the public name that a word in backticks means."""
    short = re.sub(r"^(gc|gradchain)\.", "", name)
    if short == name and name in ambiguous():
        return None
    return paths().get(f"gradchain.{short}")


def linked(text: str, but: Collection[str] = ()) -> str:
    """Markdown with the public names in backticks as links, except for these."""

    def replaced(found: re.Match[str]) -> str:
        if found["skip"] is not None or found["name"] in but:
            return found[0]
        path = target(found["name"])
        return f"[{found[0]}][{path}]" if path else found[0]

    return _TOKENS.sub(replaced, text)
