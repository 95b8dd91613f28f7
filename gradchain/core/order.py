"""What links say about themselves, and the orders in which one undoes another."""

import itertools
from collections.abc import Iterator
from enum import Enum
from typing import Any

from .errors import warn_user


class Trait(Enum):
    """A thing a link may say about itself."""

    SCALES = "multiplies the updates by a number"
    LEARNING_RATE = "applies the learning rate and its sign"
    RESCALES = "gives steps of the same size whatever the scale of its input"
    DECAYS = "adds weight decay"
    CLIPS = "bounds the size of its input"


class OrderWarning(UserWarning):
    """Two links of a chain stand in an order in which one undoes the other."""


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
    (Trait.LEARNING_RATE, Trait.CLIPS): (
        "{later} clips steps that the learning rate of {first} has made small already. Put it first."
    ),
}
"""By the traits of an earlier and of a later link: what is wrong, and the remedy."""


def _leaves(tx: Any) -> Iterator[Any]:
    parts = getattr(tx, "parts", ())
    if not parts:
        yield tx
    for part in parts:
        yield from _leaves(part)


def check_order(links: tuple[Any, ...]) -> None:
    """Warns once for each two links of a chain of which one undoes the other."""
    for first, later in itertools.combinations(links, 2):
        pairs = itertools.product(
            *(
                {trait for leaf in _leaves(tx) for trait in getattr(leaf, "traits", ())}
                for tx in (first, later)
            )
        )
        for conflict in pairs:
            if conflict in CONFLICTS:
                text = CONFLICTS[conflict].format(first=first, later=later)
                warn_user(f"chain: {text}", OrderWarning)
                break
