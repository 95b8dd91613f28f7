"""A transformation applied to only some of the parameters."""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ..core import (
    GradientTransformation,
    apply_updates,
    transformation,
    tree_mismatch,
    with_extra_args_support,
    wrapper,
)
from ..core.types import OptState, Params, PyTree, Updates
from ..tree.placeholder import is_placeholder


class MaskedNode(NamedTuple):
    """Takes the place of a masked leaf: a node without leaves."""


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


def fitted(mask: PyTree, tree: PyTree) -> PyTree:
    """A mask for a tree of which parts may be masked already: it has False there."""
    try:
        jax.tree.structure(mask).flatten_up_to(tree)
    except ValueError:
        return _trimmed(mask, tree)
    return mask


def _trimmed(mask: PyTree, tree: PyTree) -> PyTree:
    """The mask with False wherever the tree has a `MaskedNode`."""
    if isinstance(tree, MaskedNode):
        return False
    parts, treedef = jax.tree.flatten(mask, is_leaf=lambda x: x is not mask)
    below, same = jax.tree.flatten(tree, is_leaf=lambda x: x is not tree)
    if jax.tree_util.all_leaves([mask]) or treedef != same:
        return mask
    return treedef.unflatten(map(_trimmed, parts, below))


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
    """The extra arguments, made to fit a transformation of the masked parameters.

    Trees with the structure of the updates are masked too. If the updates are one array, arrays are
    masked only if `compatible`: an array may also be a loss value. A function `..._fn` of the
    parameters gets all of them: the masked ones are merged with the others.
    """
    structure = jax.tree.structure(updates)
    single_array = jax.tree_util.treedef_is_leaf(structure)

    def masked_arg(argument: str, value: Any) -> Any:
        if argument.endswith("_fn") and callable(value) and params is not None:
            # `wraps` keeps the signature: a line search reads from it which arguments the function takes.
            return functools.wraps(value)(
                lambda inside, *args, **kwargs: value(merge(mask, inside, params), *args, **kwargs)
            )
        if (compatible or not single_array) and jax.tree.structure(value) == structure:
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

    Unchanged updates still change the parameters. To keep parameters fixed, use `freeze` or
    `selective_transform`; for different transformations of different groups, use `partition`.

    Args:
        inner: any transformation.
        mask: a tree of booleans like the parameters or a prefix of them, or a function from the
            parameters (from the updates, where `update` gets no parameters) to one.
        mask_compatible_extra_args: mask an extra argument that is a single array like the updates.
            Extra arguments that are trees like the updates are always masked, and functions of the
            parameters (`value_fn`) always see all of them.

    State: `MaskedState(inner_state)`; nothing is kept for leaves where the mask is False.
    Raises: ValueError if the mask is not a prefix of the parameters.

    Example:
        >>> tx, g = gc.masked(gc.scale(-1.0), {"a": True, "b": False}), {"a": jnp.ones(1), "b": jnp.ones(1)}
        >>> u, _ = tx.update(g, tx.init(g))
        >>> print(u["a"].tolist(), u["b"].tolist())  # the second passes through
        [-1.0] [1.0]
    """
    tx = with_extra_args_support(inner)

    def mask_of(tree: PyTree) -> PyTree:
        return mask(tree) if is_tree_fn(mask) else mask

    def init(params: Params) -> MaskedState:
        if is_placeholder(params):
            return MaskedState(tx.init(params))
        return MaskedState(tx.init(keep("masked", fitted(mask_of(params), params), params)))

    def run(
        whole: bool, updates: Updates, state: MaskedState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, MaskedState]:
        like = updates if params is None else params  # updates may lack leaves
        tree = fitted(mask_of(like), like)
        result, inner_state = tx.run(
            whole,
            keep("masked", tree, updates),
            state.inner_state,
            None if params is None else keep("masked", tree, params),
            **mask_extra_args("masked", tree, updates, params, extra_args, mask_compatible_extra_args),
        )
        outside = updates
        if whole:
            others = jax.tree.map(operator.not_, tree)
            outside = apply_updates(keep("masked", others, params), keep("masked", others, updates))
        return merge(tree, result, outside), MaskedState(inner_state)

    return wrapper(init, run, inside=[(inner, ("inner_state",))], masks=lambda params: [mask_of(params)])
