"""Where a transformation reads and writes its state leaf by leaf, so that it may stay packed until then."""

from collections.abc import Iterator
from typing import Any

import jax

from ..core import GradientTransformation, Path, is_packed, named_chain, state_at, with_extra_args_support
from ..core._rule import Rule
from ..core.types import OptState
from ..transforms.accumulation import accumulate_gradients
from ..transforms.conditions import apply_if_finite, conditionally_mask, conditionally_transform
from ..transforms.groups import groups
from ..transforms.masking import masked
from ..transforms.partitioning import partition
from ..transforms.tunable import tunable

PASSING = (
    accumulate_gradients,
    apply_if_finite,
    conditionally_mask,
    conditionally_transform,
    groups,
    masked,
    named_chain,
    partition,
    tunable,
)
"""Wrappers that hand on the state of what they wrap, and do not look into it."""


def rule_places(tx: GradientTransformation, place: Path = ()) -> Iterator[Path]:
    """The places of the states of rules for one array: the kernel unpacks these when their turn comes."""
    pair: Any = with_extra_args_support(tx)
    if isinstance(pair.rule, Rule):
        yield place
    elif pair.chained is not None or pair.factory in PASSING:
        for inner, deeper in pair.inside:
            yield from rule_places(inner, (*place, *deeper))


def staying(places: list[Path], state: OptState) -> set[int]:
    """By `id`, the arrays that stay packed in a step."""
    kept = [x for place in places for x in jax.tree.leaves(state_at(state, place), is_leaf=is_packed)]
    return {id(x) for x in kept if is_packed(x)}
