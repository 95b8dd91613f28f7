"""Groups of parameters by name: each has its transformation, its multipliers, or stays as it is."""

import functools
import re
from collections.abc import Hashable, Mapping
from typing import Any

import jax

from ..core import (
    GradientTransformation,
    has_gradient,
    nearest,
    set_to_zero,
    transformation,
    with_extra_args_support,
)
from ..core.types import PyTree
from ..tree.paths import paths
from .group_names import check_patterns, matches_of, names_of, unmatched
from .partitioning import divided
from .scaled_group import is_scaled_group, scaled_from

FREEZE = "freeze"
DEFAULT = "default"
Rule = GradientTransformation | str


@transformation
def groups(rules: Mapping[str, Rule], default: Rule | None = None):
    r"""Chooses the transformation of each parameter by its name: the first pattern that matches wins.

        groups({r"embed.*": "freeze", r".*(bias|scale)": scaled_group(weight_decay=0)}, default=adamw(1e-3))

    A pattern is a regular expression for a whole name, such as 'encoder/layer_0/kernel'; `tree.paths` gives
    the names. A group sees only its own parameters: clipping by the norm of all of them stands before it,
    `chain(clip_by_global_norm(1.0), groups(...))`. "freeze" keeps no state, and its step computes nothing.

    Args:
        rules: by pattern, a transformation, "freeze", or a `scaled_group`: `default` with other numbers.
        default: a transformation or "freeze" for all other parameters. None: there may be none.

    State: `PartitionState(inner_states)`, a dict by the names of the groups: the words of a pattern, here
        "embed" and "bias_scale", or its own `(?P<name>...)`; and "default".
    Raises: at the call, ValueError or TypeError for what is no regular expression or no rule, KeyError
        for a multiplier of what `default` does not have. In `init`, ValueError for parameters that match
        nothing, for a pattern that matches nothing, and for one whose parameters all match earlier ones.

    Example:
        >>> tx = gc.groups({".*bias": gc.sgd(2.0), "embed.*": "freeze"}, default=gc.sgd(1.0))
        >>> g = {"bias": jnp.ones(1), "embed": jnp.ones(1), "w": jnp.ones(1)}
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> print({name: x.item() for name, x in u.items()})
        {'bias': -2.0, 'embed': 0.0, 'w': -1.0}
    """
    if not isinstance(rules, Mapping) or not rules:
        raise TypeError(
            f'groups: rules must be a dict with at least one pattern, such as {{r".*bias": "freeze"}}, '
            f"received {dict(rules) if isinstance(rules, Mapping) else rules!r}."
        )
    names = names_of(list(rules))
    txs: dict[Hashable, Any] = {}
    for pattern, rule in rules.items():
        if is_scaled_group(rule):
            txs[names[pattern]] = scaled_from(f"groups: rule {pattern!r}", rule, default)
        else:
            txs[names[pattern]] = _checked(f"rule {pattern!r}", rule)
    if default is not None:
        txs[DEFAULT] = _checked(DEFAULT, default)
    patterns = {names[pattern]: re.compile(pattern) for pattern in rules}

    @functools.lru_cache(maxsize=64)
    def matched(treedef: Any, trained: tuple[bool, ...]) -> tuple[list[str | None], dict[str, list[str]]]:
        """The names of the leaves that are trained, and by name the groups that would take it."""
        every = jax.tree.leaves(paths(treedef.unflatten(trained)))
        named = [path if is_trained else None for path, is_trained in zip(every, trained, strict=True)]
        return named, matches_of(patterns, [path for path in named if path is not None])

    @functools.lru_cache(maxsize=64)
    def masks_like(treedef: Any, trained: tuple[bool, ...]) -> Mapping[Hashable, PyTree]:
        named, found = matched(treedef, trained)
        missed = [path for path, takers in found.items() if not takers]
        if missed and default is None:
            raise unmatched(missed)
        group_of = {path: takers[0] if takers else DEFAULT for path, takers in found.items()} | {None: None}
        labels = [group_of[path] for path in named]
        return {group: _pruned(treedef.unflatten([label == group for label in labels])) for group in txs}

    def masks(tree: PyTree) -> Mapping[Hashable, PyTree]:
        return masks_like(*_kind(tree))

    def check(params: PyTree) -> None:
        check_patterns(patterns, matched(*_kind(params))[1])

    return divided("groups", txs, masks, check=check, labels=names)


def _pruned(mask: PyTree) -> PyTree:
    """A mask with one boolean in place of each part whose leaves are equal: states stay small."""
    if isinstance(mask, bool):
        return mask
    below, treedef = jax.tree.flatten(mask, is_leaf=lambda x: x is not mask)
    found = [_pruned(part) for part in below]
    if all(isinstance(part, bool) and part == found[0] for part in found):
        return bool(found) and found[0]
    return treedef.unflatten(found)


def _kind(tree: PyTree) -> tuple[Any, tuple[bool, ...]]:
    """The structure of a tree, and which of its leaves are trained."""
    leaves, treedef = jax.tree.flatten(tree)
    return treedef, tuple(map(has_gradient, leaves))


def _checked(where: str, rule: Any) -> GradientTransformation:
    """A rule as a transformation."""
    if isinstance(rule, str):
        if rule == FREEZE:
            return set_to_zero()
        raise ValueError(
            f"groups: {where} is {rule!r}; the only word for a rule is {FREEZE!r}.{nearest(rule, [FREEZE])}"
        )
    if is_scaled_group(rule):
        raise TypeError(
            f"groups: {where} is {rule!r}, which only other rules can be: it scales the default."
        )
    try:
        with_extra_args_support(rule)
    except TypeError as error:
        raise TypeError(f"groups: {where}: {error}") from None
    return rule
