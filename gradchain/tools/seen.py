"""Which parameters each part of a transformation sees."""

import jax

from ..core import GradientTransformation, Part, parts, replaced_at
from ..core.types import EmptyState, Params
from ..tree.paths import paths


def seen(tx: GradientTransformation, params: Params) -> dict[str, list[str]]:
    """The parameters that each part sees, by its name, for those that do not see all of them.

    Each part is in turn replaced by one that notes what its `init` is given. So whatever a wrapper does
    with the parameters, by mask, by label or by name, is found.

    Args: tx; params, arrays or shapes.
    """
    every = _names(params)
    found = {}
    for part in parts(tx):
        given = _given(tx, part, params)
        if given is not None and given != every:
            found[part.name] = given
    return found


def _given(tx: GradientTransformation, part: Part, params: Params) -> list[str] | None:
    """What the `init` of a part is given; None if it is never called so."""
    noted: list[list[str]] = []

    def init(tree: Params) -> EmptyState:
        noted.append(_names(tree))
        return EmptyState()

    if not part.where:
        return None
    spy = GradientTransformation(init, lambda updates, state, params=None: (updates, state))
    jax.eval_shape(lambda tree: (replaced_at(tx, part.where, spy).init(tree), None)[1], params)
    return noted[0] if noted else None


def _names(tree: Params) -> list[str]:
    return [str(name) for name in jax.tree.leaves(paths(tree))]
