"""Parts of a state begun anew."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import jax

from ..core import GradientTransformation, Path, nearest, parts, state_at, with_state_at
from ..core.types import OptState, Params, PyTree
from ..transforms.masking import MaskedNode
from ..tree.paths import paths
from .slots import pattern_of, slots


def reset(
    tx: GradientTransformation, state: OptState, params: Params, where: str | Sequence[str]
) -> OptState:
    """The same state with some of it as `tx.init(params)` makes it.

        state = reset(tx, state, params, where="adamw")  # a link: moments and count
        state = reset(tx, state, params, where="kernels")  # a group: all that its parts keep
        state = reset(tx, state, params, where=r"head/.*")  # a layer: the slots of its parameters

    Args:
        tx, state, params: the transformation, its state, and the parameters.
        where: the name of a part (see `core.parts`), the label of a group, or a regular expression that
            fits the whole path of a parameter (see `tree.paths`); or several of these. Names come first.
            All arrays that are kept for a parameter begin anew, counts that it shares with others stay.
            Averages of parameters are those of the present ones then.

    Returns: another state.
    Raises: ValueError if something in `where` fits nothing, with the names and the paths; for a path, if
        the state is not kept by the names of the parameters (as in `flatten`).
    """
    fresh = tx.init(params)
    for one in [where] if isinstance(where, str) else where:
        found = _places(tx, one)
        if found:
            for place in found:
                state = with_state_at(state, place, state_at(fresh, place))
        else:
            state = _reset_parameters(tx, state, fresh, params, one)
    return state


def _places(tx: GradientTransformation, name: str) -> list[Path]:
    """Where the states of a part are, or of the parts of a group."""
    calls = parts(tx)
    found = [part.place for part in calls if part.name == name]
    return found or [part.place for part in calls if part.name.startswith(f"{name}.")]


def _reset_parameters(
    tx: GradientTransformation, state: OptState, fresh: OptState, params: Params, pattern: str
) -> OptState:
    """The state with the slots of the parameters that a pattern fits as in another one."""
    try:
        fits = re.compile(pattern).fullmatch
    except re.error as error:
        raise ValueError(f"reset: where={pattern!r} is no regular expression: {error}.") from None
    names = dict.fromkeys(jax.tree.leaves(paths(params)))
    if not any(fits(name) for name in names):
        known = [part.name for part in parts(tx)]
        raise ValueError(
            f"reset: where={pattern!r} fits nothing; the parts are {', '.join(known)}, the parameters "
            f"{', '.join(names)}.{nearest(pattern, [*known, *names])}"
        )
    kept = [slot for slot in slots(tx, state) if slot.like_params]
    owners = {leaf: _owner(leaf, names) for slot in kept for leaf in jax.tree.leaves(paths(slot.value))}
    if None in owners.values() or pattern_of(tx) is None:
        raise ValueError(
            f"reset: where={pattern!r} asks for parameters, but {tx!r} does not keep its state for each "
            f"parameter by its name. Reset parts: {', '.join(part.name for part in parts(tx))}."
        )
    for part in parts(tx):
        mean = state_at(state, part.place)
        if hasattr(mean, "as_if_always"):  # by its weight, which others share, no average is at its start
            fresh = with_state_at(fresh, part.place, mean.as_if_always(params))
    chosen = {leaf for leaf, owner in owners.items() if owner is not None and fits(owner)}
    for slot in kept:
        state = with_state_at(state, slot.place, _chosen(slot.value, state_at(fresh, slot.place), chosen))
    return state


def _owner(leaf: str, names: Collection[str]) -> str | None:
    """The parameter that a leaf of a slot is kept for: SM3 keeps "kernel/0" and "kernel/1" for "kernel"."""
    words = leaf.split("/")
    starts = ("/".join(words[:n]) for n in range(len(words), -1, -1))
    return next((start for start in starts if start in names), None)


def _chosen(value: PyTree, fresh: PyTree, leaves: set[str]) -> PyTree:
    """A tree like the parameters, with another one's leaves at these names."""

    def choose(name: Any, old: Any, new: Any) -> Any:
        return old if isinstance(old, MaskedNode) or name not in leaves else new

    return jax.tree.map(choose, paths(value), value, fresh)
