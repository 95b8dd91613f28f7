"""Applying a transformation to some of the parameters only."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from ..core.chain import with_extra_args_support
from ..core.errors import tree_mismatch
from ..core.pair import GradientTransformation, GradientTransformationExtraArgs, transformation
from ..core.types import Params, PyTree, Updates


class MaskedNode(NamedTuple):
    """Stands where a leaf was masked away: a node without leaves."""


class MaskedState(NamedTuple):
    """State of `masked`."""

    inner_state: Any  # the inner transformation's, with MaskedNode where the mask is False


def is_mask_fn(mask: Any) -> bool:
    """Whether a mask is a function of the parameters rather than a tree (modules are callable too)."""
    if not callable(mask):
        return False
    leaves = jax.tree.leaves(mask)
    return (
        not leaves
        or leaves == [mask]
        or any(not isinstance(leaf, (bool, np.bool_, np.ndarray, jax.Array)) for leaf in leaves)
    )


@transformation
def masked(
    inner: GradientTransformation,
    mask: PyTree | Callable[[Params], PyTree],
    *,
    mask_compatible_extra_args: bool = False,
) -> GradientTransformationExtraArgs:
    """Applies `inner` where the mask is True; other updates pass through unchanged.

    Unchanged means that they still reach the parameters: to keep parameters fixed use `freeze`,
    to treat groups differently use `partition`.

    Args:
        inner: any transformation.
        mask: a tree of booleans like the parameters or a prefix of them, or a function from the
            parameters (or updates) to one.
        mask_compatible_extra_args: also mask extra arguments that have the updates' structure.

    State: `MaskedState(inner_state)`; nothing is kept for leaves where the mask is False.
    Raises: ValueError where the mask is no prefix of the parameters.
    """
    inner_tx = with_extra_args_support(inner)

    def mask_of(tree: PyTree) -> PyTree:
        return mask(tree) if is_mask_fn(mask) else mask

    def hide(mask_tree: PyTree, tree: PyTree) -> PyTree:
        def hide_node(keep: Any, node: Any) -> Any:
            return node if keep else MaskedNode()

        try:
            return jax.tree.map(hide_node, mask_tree, tree)
        except ValueError:
            raise tree_mismatch("masked", "mask", mask_tree, "tree it masks", tree) from None

    def init(params: Params) -> MaskedState:
        return MaskedState(inner_tx.init(hide(mask_of(params), params)))

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MaskedState]:
        mask_tree = mask_of(updates if params is None else params)  # updates may lack leaves
        structure = jax.tree.structure(updates)
        if mask_compatible_extra_args:
            extra_args = {
                name: hide(mask_tree, value) if jax.tree.structure(value) == structure else value
                for name, value in extra_args.items()
            }
        inside, inner_state = inner_tx.update(
            hide(mask_tree, updates),
            state.inner_state,
            None if params is None else hide(mask_tree, params),
            **extra_args,
        )
        merged = jax.tree.map(lambda keep, new, old: new if keep else old, mask_tree, inside, updates)
        return merged, MaskedState(inner_state)

    return GradientTransformationExtraArgs(init, update)
