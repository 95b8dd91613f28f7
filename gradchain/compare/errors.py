"""What the command says when it is asked for something it cannot do."""

from collections.abc import Iterable

from ..core import nearest


class CompareError(ValueError):
    """Bad input: the message is shown as it stands, without a traceback, with exit code 2."""


def unknown(kind: str, word: str, known: Iterable[str]) -> CompareError:
    """The error for a name that does not exist: what exists, and the nearest name."""
    known = list(known)
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    return CompareError(
        f"unknown {kind} {word!r}.{nearest(word, known)} The {plural} are: {', '.join(known)}."
    )
