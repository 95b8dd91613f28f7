"""The slots of a state: its named fields, and which of them are trees like the parameters."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from ..core import GradientTransformation, Part, Path, parts, state_at
from ..core.types import OptState, PyTree
from ..tree.placeholder import is_placeholder, placeholder


class Slot(NamedTuple):
    """One thing that a part of a transformation keeps."""

    part: Part
    name: str  # of the field: "mu"
    place: Path  # in the whole state
    value: PyTree  # what stands there
    like_params: bool  # whether it is a tree like the parameters that the part sees


def slots(tx: GradientTransformation, state: OptState) -> list[Slot]:
    """What each part keeps itself, in the order of `core.parts`.

    Args: tx; state, a state of it, or a tree of shapes like one.
    """
    calls = parts(tx)
    pattern = pattern_of(tx)
    inner = {part.place for part in calls}
    found = []
    for part in calls:
        kept = state_at(state, part.place)
        like = _at(pattern, part.place)
        # A wrapper's own place may be that of what it wraps: then nothing is left for the wrapper.
        if any(other.place == part.place for other in calls[calls.index(part) + 1 :]):
            continue
        for name, place, value, like_params in _walk(kept, like, part.place, "", inner):
            found.append(Slot(part, name or "state", place, value, like_params))
    return found


def pattern_of(tx: GradientTransformation) -> Any:
    """The state with a placeholder at each tree like the parameters; None where `init` stops it."""
    try:
        return tx.init(placeholder())
    except Exception:  # another library's `init` may fail at a placeholder in any way
        return None


def _at(pattern: Any, place: Path) -> Any:
    try:
        return state_at(pattern, place)
    except (AttributeError, IndexError, KeyError, TypeError):
        return None


def _walk(
    node: Any, pattern: Any, place: Path, name: str, inner: set[Path]
) -> Iterator[tuple[str, Path, Any, bool]]:
    """Name, place, value and whether it is like the parameters."""
    if is_placeholder(pattern):
        if is_placeholder(node) or jax.tree.leaves(node):
            yield name, place, node, True
        return
    for key, child in _children(node):
        below = (*place, key)
        if below in inner:
            continue
        label = key if isinstance(key, str) else name
        like = _at(pattern, (key,))
        if is_placeholder(like) or _children(child):
            yield from _walk(child, like, below, label, inner)
        elif jax.tree.leaves(child):
            yield label, below, child, False


def _children(node: Any) -> list[tuple[Any, Any]]:
    """The fields of a named tuple, or the entries of a dict or a tuple, with the steps to them."""
    if hasattr(node, "_fields"):
        return [(field, getattr(node, field)) for field in node._fields]
    if isinstance(node, dict):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, (tuple, list)) else []
