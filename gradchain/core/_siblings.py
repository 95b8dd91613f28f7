"""Rules that differ only in numbers, and take a step together: they share one trace."""

import contextlib
import contextvars
import functools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._rule import Rule

if TYPE_CHECKING:
    from ._leafwise import Fused

_current: contextvars.ContextVar["Siblings | None"] = contextvars.ContextVar("_current", default=None)


class Siblings:
    """What transformations that take a step together may share.

    Tracing a rule costs far more than calling it, and eight groups of `adamw` with eight learning rates
    would be traced eight times. Within `sharing`, a rule gets the numbers in which the siblings differ as
    arguments of its program, and all use one program. Numbers in which they agree stay constants: these
    are faster to trace.

    Args: txs, the transformations.
    """

    def __init__(self, txs: Sequence[Any]):
        self.txs = txs
        self.fused: dict[Hashable, Fused] = {}

    @functools.cached_property
    def varying(self) -> Mapping[Hashable, frozenset[str]]:
        """By family: the numbers in which its rules differ."""
        found: dict[Hashable, list[Rule]] = defaultdict(list)
        for tx in self.txs:
            for rule in _rules(tx):
                found[rule.family].append(rule)
        return {family: _differing(rules) for family, rules in found.items() if len(rules) > 1}

    @contextlib.contextmanager
    def sharing(self) -> Iterator[None]:
        """Inside this the siblings share."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def share(self, fused: "Fused") -> tuple["Fused", list[Mapping[str, float]]] | None:
        """The rules whose programs to use in place of these, and the constants to give them.

        None where a rule has no siblings.
        """
        varying, key, numbers = self.varying, [], []
        for rule in fused.rules:
            if rule.family not in varying:
                return None
            given = {n: value for n, value in rule.constants.items() if n in varying[rule.family]}
            fixed = frozenset((n, repr(v)) for n, v in rule.constants.items() if n not in given)
            key.append((rule.family, fixed, frozenset(given)))
            numbers.append(given)
        return self.fused.setdefault(tuple(key), fused), numbers


def siblings() -> Siblings | None:
    """Those that share at the moment."""
    return _current.get()


def _differing(rules: Sequence[Rule]) -> frozenset[str]:
    """The numbers in which rules differ."""
    names = {n for rule in rules for n in rule.constants}
    return frozenset(n for n in names if len({repr(rule.constants.get(n)) for rule in rules}) > 1)


def _rules(tx: Any) -> Iterator[Rule]:
    """The rules in a transformation whose family is known."""
    rule = getattr(tx, "rule", None)
    if rule is not None:
        if rule.family is not None:
            yield rule
        return
    for inner, _ in getattr(tx, "inside", ()):
        yield from _rules(inner)
