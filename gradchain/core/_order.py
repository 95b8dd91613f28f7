"""What links say about themselves, and the orders in which one undoes another."""

import functools
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from ._errors import called_by_the_package, warn_user


class Trait(Enum):
    """A thing a link may say about itself."""

    SCALES = "multiplies the updates by a number"
    LEARNING_RATE = "applies the learning rate and its sign"
    RESCALES = "gives steps of the same size whatever the scale of its input"
    DECAYS = "adds weight decay"
    SHRINKS = "adds weight decay with the sign of a step, after the learning rate"
    CLIPS = "bounds the size of its input"
    LANDS = "lands on parameters in low precision: its updates are differences of these"


class OrderWarning(UserWarning):
    """Two links of a chain stand in an order in which one undoes the other."""


SPOILT = (
    "{later} changes the updates of {first} before it, which land on parameters in low precision only as "
    "they are. Put it into a chain inside, such as with_master_weights(chain(...))."
)

CONFLICTS: dict[tuple[Trait, Trait], str] = {
    (Trait.SCALES, Trait.RESCALES): (
        "{first} has no effect before {later}, which undoes any scale. Put it after."
    ),
    (Trait.LEARNING_RATE, Trait.RESCALES): (
        "{later} undoes the learning rate of {first} before it. Put the learning rate last."
    ),
    (Trait.LEARNING_RATE, Trait.LEARNING_RATE): (
        "{later} applies a second learning rate, and its sign, after that of {first}. Keep one of them; "
        "scale or scale_by_schedule multiply without the sign."
    ),
    (Trait.DECAYS, Trait.RESCALES): (
        "the decay of {first} is rescaled by {later} after it, as an L2 penalty would be. For decoupled "
        "decay put it after, or use weight_decay= of the optimizer."
    ),
    (Trait.LEARNING_RATE, Trait.DECAYS): (
        "the decay of {later} goes uphill after {first}, which has turned the sign: it makes parameters "
        "grow. Put it before the learning rate, use weight_decay= of the optimizer, or "
        "add_independent_decay."
    ),
    (Trait.SHRINKS, Trait.LEARNING_RATE): (
        "{later} turns the decay of {first} before it into growth. Put the decay last."
    ),
    (Trait.SHRINKS, Trait.RESCALES): (
        "the decay of {first} is rescaled by {later} after it. Put the decay last."
    ),
    **{(Trait.LANDS, later): SPOILT for later in Trait},
    (Trait.LEARNING_RATE, Trait.CLIPS): (
        "{later} clips steps that the learning rate of {first} has made small already. Put it first."
    ),
}
"""By the traits of an earlier and of a later link: what is wrong, and the remedy."""

UNDONE = frozenset(first for first, _ in CONFLICTS)
"""What a later link can undo."""


def check_order(links: Sequence[Any]) -> None:
    """Warns once for each two links of a chain of which one undoes the other."""
    for text in conflicts(links):
        if not called_by_the_package():  # an optimizer may mean it
            _warn_once(f"chain: {text}")


def conflicts(links: Sequence[Any]) -> Iterator[str]:
    """What is wrong, and the remedy, for each two links of which one undoes the other."""
    for i, first in enumerate(links[:-1], 1):
        before = _traits(first)
        if before.isdisjoint(UNDONE):
            continue
        for later in links[i:]:
            after = _traits(later)
            found = (text for (a, b), text in CONFLICTS.items() if a in before and b in after)
            text = next(found, None)
            if text is not None:
                yield text.format(first=first, later=later)


@functools.lru_cache(maxsize=256)
def _warn_once(text: str) -> None:
    warn_user(text, OrderWarning)


def _traits(tx: Any) -> set[Trait]:
    """What all links of a transformation say about themselves."""
    parts = getattr(tx, "parts", None)
    if parts is None:  # of another library
        return set()
    return set().union(*map(_traits, parts.links)) if parts.links else set(parts.traits)
