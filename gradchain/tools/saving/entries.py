"""The names of the entries of a state: what checkpoints are keyed by."""

import collections
from collections.abc import Iterable
from typing import Any, NamedTuple

from jax.tree_util import DictKey, KeyPath

from ...core import GradientTransformation, chain, name_of, parts, state_at, with_extra_args_support
from ...core.types import OptState, PyTree
from ...tree.paths import leaves_with_path, word

LABELLED = ("add_decayed_weights", "scale_by_learning_rate", "scale_by_schedule")
"""Links whose names are kept: they count steps only where they are given a schedule."""


class Entry(NamedTuple):
    """A leaf of a state."""

    name: str  # unique, such as "adam/mu/encoder/kernel"
    field: tuple[
        str, ...
    ]  # the words of the name that follow the transformation's: "mu", "encoder", "kernel"
    leaf: Any


class _Owner(NamedTuple):
    """A transformation that keeps a part of the state, at some place."""

    part: str
    root: int  # how many steps of the path lead to the part's state
    kept: tuple[str, ...]  # what its name has beside the part's
    labels: tuple[str, ...]  # the names of all that it stands in


class _Place(NamedTuple):
    """Where a leaf is, in words."""

    owner: _Owner
    keys: tuple[Any, ...]  # of dicts, between the part and the owner
    field: tuple[Any, ...]  # below the owner

    @property
    def short(self) -> tuple[Any, ...]:
        return (self.owner.part, *self.keys, *self.owner.kept, *self.field)

    @property
    def full(self) -> tuple[Any, ...]:
        return (self.owner.part, *self.owner.labels, *self.field)


def entries(who: str, tx: GradientTransformation, state: OptState) -> list[Entry]:
    """The entries of a state, in the order of its leaves.

    A name is that of the call, as in `core.parts`, the field of its state, and the parameter:
    "adamw/mu/encoder/kernel", "adamw/count". The position in a chain, and the chain that a factory makes
    of others, do not enter it. So the same entry has the same name in another chain.

    A label or key of a dict does enter it ("muon/adam/mu/bias"), and so do links that need a state only for
    a schedule ("adam/scale_by_learning_rate/count"). Where two names would be equal, the later one has all
    links that it stands in ("adafactor/ema/count"). What is equal even then, through keys that contain "/",
    is counted: "adam/mu/a/b[0]".

    Args: who, for errors; tx; state, of arrays or `jax.ShapeDtypeStruct`s.
    Raises: ValueError if the state does not belong to `tx`.
    """
    owners = _owners(who, tx, state)
    places = [_place(who, owners, path) for path, _ in leaves_with_path(state)]
    first = {place.short: i for i, place in reversed(list(enumerate(places)))}
    names = [joined(p.short if first[p.short] == i else p.full) for i, p in enumerate(places)]
    return [
        Entry(name, tuple(map(printable, place.field)), leaf)
        for name, place, (_, leaf) in zip(counted(names), places, leaves_with_path(state), strict=True)
    ]


def parameter_entries(params: PyTree) -> list[Entry]:
    """The entries of a tree of parameters: "params/encoder/kernel"."""
    found = [(tuple(map(word, path)), leaf) for path, leaf in leaves_with_path(params)]
    names = counted([joined(("params", *words)) for words, _ in found])
    return [
        Entry(name, tuple(map(printable, words)), leaf)
        for name, (words, leaf) in zip(names, found, strict=True)
    ]


def counted(names: list[str]) -> list[str]:
    """The same names, with numbers where some are equal."""
    while len(set(names)) < len(names):
        times, seen = collections.Counter(names), collections.Counter[str]()
        unique = []
        for name in names:
            unique.append(f"{name}[{seen[name]}]" if times[name] > 1 else name)
            seen[name] += 1
        names = unique
    return names


def joined(words: Iterable[Any]) -> str:
    """Words as one name."""
    return "/".join(map(printable, words))


def printable(word: Any) -> str:
    """A word as text. Not every format takes control characters in a name: they are written as escapes."""
    text = str(word)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _owners(who: str, tx: GradientTransformation, state: OptState) -> dict[tuple[Any, ...], _Owner]:
    """What keeps the state, by place. A part comes after those that it stands in, and replaces them."""
    owners: dict[tuple[Any, ...], _Owner] = {}
    for part in parts(tx):
        try:
            state_at(state, part.place)
        except (AttributeError, IndexError, KeyError, TypeError):
            raise ValueError(
                f"{who}: the state does not belong to this transformation: it has nothing for "
                f"{part.name}. Give the state that its init, or its last step, returned."
            ) from None
        injected = hasattr(part.pair.factory, "inner_factory")
        root = _Owner(part.name, len(part.place), ("injected",) if injected else (), ())
        owners[part.place] = root
        pair, place = part.pair, part.place
        if injected:
            pair = with_extra_args_support(pair.factory.first(pair.arguments))
            place = (*place, "inner_state")
            root = owners[place] = _Owner(part.name, len(place), (), ())
        owners |= _inside(pair, place, root)
    return owners


def _inside(pair: Any, place: tuple[Any, ...], outer: _Owner) -> dict[tuple[Any, ...], _Owner]:
    """What a pair is made of, at any depth, by the place of its state."""
    owners: dict[tuple[Any, ...], _Owner] = {}
    for tx, deeper in pair.inside:
        inner: Any = with_extra_args_support(tx)
        labels, kept = outer.labels, outer.kept
        if all(isinstance(step, int) for step in deeper):  # a link
            name = name_of(inner.factory) if inner.factory else ""
            labels += (name,) if name and inner.factory is not chain else ()
            kept += (name,) if name in LABELLED else ()
        else:
            labels += tuple(map(str, deeper))
        at = (*place, *deeper)
        owners[at] = outer._replace(labels=labels, kept=kept)
        owners |= _inside(inner, at, owners[at])
    return owners


def _place(who: str, owners: dict[tuple[Any, ...], _Owner], path: KeyPath) -> _Place:
    """Where a leaf is: what its innermost owner is, and what is left of the path."""
    words = tuple(map(word, path))
    for taken in range(len(words), -1, -1):
        owner = owners.get(words[:taken])
        if owner is not None:
            keys = [key.key for key in path[owner.root : taken] if isinstance(key, DictKey)]
            return _Place(owner, tuple(keys), words[taken:])
    raise ValueError(
        f"{who}: the state does not belong to this transformation, which has nothing at {joined(words)}. "
        "Give the state that its init, or its last step, returned."
    )
