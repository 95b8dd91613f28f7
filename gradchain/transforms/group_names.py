"""Patterns of names: their own short names, what they match, and what is wrong with them."""

import re
from collections.abc import Mapping, Sequence

SHOWN = 12
"""Names of parameters in an error."""


def named_patterns(who: str, patterns: Sequence[str]) -> dict[str, re.Pattern[str]]:
    """Patterns, compiled, by their short names."""
    compiled = [compiled_pattern(who, pattern) for pattern in patterns]
    return dict(zip(names_of(patterns).values(), compiled, strict=True))


def names_of(patterns: Sequence[str]) -> dict[str, str]:
    """A short name for each pattern: its `(?P<name>...)`, or the words in it; equal ones are counted.

    Raises: TypeError for what is no text, ValueError for what is no regular expression.
    """
    names: dict[str, str] = {}
    for pattern in patterns:
        named = list(compiled_pattern("groups", pattern).groupindex)
        name = named[0] if named else "_".join(_WORDS.findall(_NO_WORDS.sub(" ", pattern))) or "all"
        others = (*names.values(), "default")
        numbered = (name, *(f"{name}_{i}" for i in range(2, len(patterns) + 3)))
        names[pattern] = next(n for n in numbered if n not in others)
    return names


def compiled_pattern(who: str, pattern: str) -> re.Pattern[str]:
    """A pattern, compiled.

    Raises: TypeError for what is no text, ValueError for what is no regular expression.
    """
    if not isinstance(pattern, str):
        raise TypeError(
            f"{who}: a pattern must be a text, a regular expression for names such as "
            f"'encoder/layer_0/kernel', received {pattern!r}."
        )
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"{who}: the pattern {pattern!r} is no regular expression: {error.msg} at position "
            f"{error.pos}. Write .* for any text, and a backslash before a sign that stands for itself."
        ) from None


_NO_WORDS = re.compile(r"\\[A-Za-z]|\(\?[^)]*\)|[*+?]")  # \d, lookaheads and flags, repetitions
_WORDS = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*")


def matches_of(patterns: Mapping[str, re.Pattern[str]], paths: Sequence[str]) -> dict[str, list[str]]:
    """By path, the names of all patterns that match the whole of it, the first one first."""
    return {path: [name for name, pattern in patterns.items() if pattern.fullmatch(path)] for path in paths}


def check_patterns(
    patterns: Mapping[str, re.Pattern[str]], matches: Mapping[str, list[str]], who: str = "groups"
) -> None:
    """Raises ValueError for a pattern that matches no path, or only those that earlier ones took.

    Args: patterns, by name; matches, what `matches_of` gives; who, for errors.
    """
    paths = list(matches)
    for name, pattern in patterns.items():
        takers = dict.fromkeys(found[0] for found in matches.values() if name in found)
        if not takers:
            raise ValueError(
                f"{who}: the pattern {pattern.pattern!r} matches no parameter{_near(pattern, paths)}. "
                f"The parameters are {listed(paths)}. A pattern must match a whole name."
            )
        if name not in takers:
            raise ValueError(
                f"{who}: all parameters that the pattern {pattern.pattern!r} matches go to "
                f"{' and '.join(repr(patterns[taker].pattern) for taker in takers)}, since the first match "
                "wins. Put it earlier, or leave it out."
            )


def unmatched(paths: Sequence[str]) -> ValueError:
    """The error for parameters that no pattern matches."""
    return ValueError(
        f"groups: no pattern matches {listed(paths)}. Add one, or give default=..., a transformation or "
        "'freeze', for all other parameters."
    )


def listed(paths: Sequence[str]) -> str:
    """Names for an error, not too many."""
    shown = ", ".join(repr(p) for p in paths[:SHOWN]) or "none"
    return shown + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")


def _near(pattern: re.Pattern[str], paths: Sequence[str]) -> str:
    """What a pattern finds inside of names, if it does."""
    inside = next((p for p in paths if pattern.search(p)), None)
    return "" if inside is None else f" (it is a part of {inside!r}: write .* around it)"
