"""Applying a transformation to some of the parameters only."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    transformation,
    tree_mismatch,
    with_extra_args_support,
)
from ..core.types import OptState, Params, PyTree, Updates
from ..tree.placeholder import is_placeholder


class MaskedNode(NamedTuple):
    """Stands where a leaf was masked away: a node without leaves."""


class MaskedState(NamedTuple):
    """State of `masked`."""

    inner_state: OptState  # the inner transformation's, with MaskedNode where the mask is False


def is_tree_fn(tree_or_fn: PyTree | Callable[[Params], PyTree]) -> bool:
    """Whether this is a function from parameters to a tree, rather than the tree itself.

    A module of Equinox or NNX is callable too, but it is a tree.
    """
    if isinstance(tree_or_fn, jax.tree_util.Partial):
        return True
    return callable(tree_or_fn) and jax.tree_util.all_leaves([tree_or_fn])


def keep(name: str, mask: PyTree, tree: PyTree) -> PyTree:
    """`tree` with a `MaskedNode` wherever `mask`, a prefix of it, is False."""
    try:
        return jax.tree.map(lambda m, node: node if m else MaskedNode(), mask, tree)
    except ValueError:
        raise tree_mismatch(name, "mask", mask, "tree it masks", tree) from None


def merge(mask: PyTree, inside: PyTree, outside: PyTree) -> PyTree:
    """The nodes of `inside` where `mask` is True, of `outside` elsewhere."""
    return jax.tree.map(lambda m, new, old: new if m else old, mask, inside, outside)


def mask_extra_args(
    name: str,
    mask: PyTree,
    updates: Updates,
    params: Params | None,
    extra_args: dict[str, Any],
    compatible: bool,
) -> dict[str, Any]:
    """The extra arguments as a transformation of the masked parameters needs them.

    Trees like the updates are masked too (a single array is one only if `compatible`, since a loss
    value looks the same). A `..._fn` of the parameters gets the masked ones completed by the others.
    """
    structure = jax.tree.structure(updates)
    alone = jax.tree_util.treedef_is_leaf(structure)

    def masked_arg(argument: str, value: Any) -> Any:
        if argument.endswith("_fn") and callable(value) and params is not None:
            # With the signature of the function itself, by which a line search knows what it reads.
            return functools.wraps(value)(
                lambda inside, *args, **kwargs: value(merge(mask, inside, params), *args, **kwargs)
            )
        if (compatible or not alone) and jax.tree.structure(value) == structure:
            return keep(name, mask, value)
        return value

    return {argument: masked_arg(argument, value) for argument, value in extra_args.items()}


@transformation
def masked(
    inner: GradientTransformation,
    mask: PyTree | Callable[[Params], PyTree],
    *,
    mask_compatible_extra_args: bool = False,
):
    """Applies `inner` where the mask is True; other updates pass through unchanged.

    Unchanged means that they still reach the parameters: to keep parameters fixed use `freeze` or
    `selective_transform`, to treat groups differently use `partition`.

    Args:
        inner: any transformation.
        mask: a tree of booleans like the parameters or a prefix of them, or a function from the
            parameters (from the updates, where `update` gets no parameters) to one.
        mask_compatible_extra_args: mask an extra argument that is a single array like the updates.
            Extra arguments that are trees like the updates are always masked, and functions of the
            parameters (`value_fn`) always see all of them.

    State: `MaskedState(inner_state)`; nothing is kept for leaves where the mask is False.
    Raises: ValueError where the mask is no prefix of the parameters.
    """
    tx = with_extra_args_support(inner)

    def mask_of(tree: PyTree) -> PyTree:
        return mask(tree) if is_tree_fn(mask) else mask

    def init(params: Params) -> MaskedState:
        if is_placeholder(params):
            return MaskedState(tx.init(params))
        return MaskedState(tx.init(keep("masked", mask_of(params), params)))

    def update(
        updates: Updates, state: MaskedState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MaskedState]:
        tree = mask_of(updates if params is None else params)  # updates may lack leaves
        inside, inner_state = tx.update(
            keep("masked", tree, updates),
            state.inner_state,
            None if params is None else keep("masked", tree, params),
            **mask_extra_args("masked", tree, updates, params, extra_args, mask_compatible_extra_args),
        )
        return merge(tree, inside, updates), MaskedState(inner_state)

    return GradientTransformationExtraArgs(init, update)
