"""One value for each parameter: the same for all, or by a tree, a function, or patterns of names."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from ..core import LeafError, is_absent, is_none, leaves_like, path_of_leaf
from ..core.types import Params, PyTree
from ..tree.paths import paths
from .group_names import compiled_pattern, listed
from .masking import fitted, is_tree_fn


def choices(who: str, what: str, given: Any, params: Params, default: Any = None) -> PyTree:
    """The value of each leaf, as a tree like the parameters.

    Args:
        who, what: for errors, the factory and its argument.
        given: one value, a tree of them like the parameters or a prefix of it, a function from the
            parameters to one, or a dict `{pattern: value}` of regular expressions for whole names such as
            'encoder/0/kernel', of which the first that matches counts.
        default: the value where no pattern matches.

    Raises: ValueError for a pattern that matches no name, or a tree that does not fit.
    """
    given = given(params) if is_tree_fn(given) else given
    try:
        return _spread(fitted(given, params), params)
    except ValueError:
        if not (isinstance(given, Mapping) and all(isinstance(key, str) for key in given)):
            raise ValueError(
                f"{who}: {what} must be one value, a tree of them like the parameters or a prefix of it, a "
                f"function from the parameters to one, or a dict of patterns of names, received {given!r}."
            ) from None
    return _matched(who, what, given, params, default)


def of_each(who: str, f: Callable[..., Any], params: Params, *values: PyTree) -> PyTree:
    """`f(p, *values)` of every array of the parameters; a `LeafError` in it gets the array's path."""
    ps, treedef = jax.tree.flatten(params, is_leaf=is_none)
    columns = [leaves_like(who, "parameters", params, "choices", tree) for tree in values]
    found = []
    for i, row in enumerate(zip(ps, *columns, strict=True)):
        try:
            found.append(None if is_absent(row[0]) else f(*row))
        except LeafError as error:
            raise error.at(path_of_leaf(params, i)) from None
    return treedef.unflatten(found)


def _spread(prefix: PyTree, tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x, node: jax.tree.map(lambda _: x, node, is_leaf=is_none), prefix, tree)


def _matched(who: str, what: str, given: Mapping[str, Any], params: Params, default: Any) -> PyTree:
    names = paths(params)
    patterns = {pattern: compiled_pattern(who, pattern) for pattern in given}
    for pattern, regex in patterns.items():
        if not any(map(regex.fullmatch, jax.tree.leaves(names))):
            raise ValueError(
                f"{who}: the pattern {pattern!r} of {what} matches no parameter. The parameters are "
                f"{listed(jax.tree.leaves(names))}. A pattern must match a whole name."
            )

    def chosen(name: str) -> Any:
        return next(
            (given[pattern] for pattern, regex in patterns.items() if regex.fullmatch(name)), default
        )

    return jax.tree.map(chosen, names)
