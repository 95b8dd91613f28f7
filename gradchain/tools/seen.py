"""Which parameters each part of a transformation sees."""

from collections.abc import Iterator
from typing import Any

import jax

from ..core import GradientTransformation, Path, parts, with_extra_args_support
from ..core.types import Params
from ..transforms.masking import keep
from ..tree.paths import paths


def seen(tx: GradientTransformation, params: Params) -> dict[str, list[str]]:
    """The parameters that each part sees, by its name, for those that do not see all of them.

    Args: tx; params, arrays or shapes.
    """
    names = _names(tx, params)
    return {part.name: names[part.place] for part in parts(tx) if names[part.place] != names[()]}


def left_alone(tx: GradientTransformation, params: Params) -> dict[str, list[str]]:
    """For each part that divides the parameters among others, those that none of these sees.

    What it divides them among may be of its own making, and no part then, as the halves of `muon`.
    """
    given: dict[Path, Params] = {}
    for _, place, tree in _walk(tx, (), params):
        given.setdefault(place, tree)  # the outermost of those whose states are one
    found = {}
    for part in parts(tx):
        tree, masks = given[part.place], part.pair.parts.masks
        if masks is not None:
            taken = {name for mask in masks(tree) for name in _leaf_names(keep("seen", mask, tree))}
            found[part.name] = [name for name in _leaf_names(tree) if name not in taken]
    return {name: left for name, left in found.items() if left}


def remarks(tx: GradientTransformation, params: Params) -> list[str]:
    """What the transformations inside say of the parameters that they see, once each."""
    return list(dict.fromkeys(_remarks(tx, params)))


def _remarks(tx: GradientTransformation, params: Params) -> Iterator[str]:
    for pair, _, tree in _walk(tx, (), params):
        if pair.parts.remarks is not None:
            yield from pair.parts.remarks(tree)


def _names(tx: GradientTransformation, params: Params) -> dict[Path, list[str]]:
    """By the place of its state, the names of the parameters that each transformation sees."""
    given = {place: tree for _, place, tree in _walk(tx, (), params)}
    return {place: _leaf_names(tree) for place, tree in given.items()}


def _leaf_names(tree: Params) -> list[str]:
    return [str(name) for name in jax.tree.leaves(paths(tree))]


def _walk(tx: GradientTransformation, place: Path, params: Params) -> Iterator[tuple[Any, Path, Params]]:
    """Each transformation, the place of its state, and what it is given."""
    pair: Any = with_extra_args_support(tx)
    yield pair, place, params
    masks = [True] * len(pair.inside) if pair.parts.masks is None else pair.parts.masks(params)
    for (inner, deeper), mask in zip(pair.inside, masks, strict=True):
        yield from _walk(inner, (*place, *deeper), params if mask is True else keep("seen", mask, params))
