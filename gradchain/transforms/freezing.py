"""Parameters that stay as they are."""

import jax

from ..core import GradientTransformation, set_to_zero, transformation
from ..core.types import ArrayTree, Params, PyTree
from .masking import is_tree_fn, masked
from .partitioning import partition


@transformation
def freeze(mask: bool | ArrayTree):
    """Sets the updates to zero where `mask` is True; the others pass through.

    Put it last in a chain: a later link could move the frozen parameters again. To save the memory
    of their states too, use `selective_transform`.

    Args:
        mask: True where a parameter stays as it is: a boolean, a tree of booleans like the parameters, or
            a function from them to one.

    State: `MaskedState(EmptyState())`: nothing is kept for any leaf.

    Example:
        >>> tx, g = gc.freeze({"a": True, "b": False}), {"a": jnp.array([1.0]), "b": jnp.array([2.0])}
        >>> u, _ = tx.update(g, tx.init(g))
        >>> print(u["a"].tolist(), u["b"].tolist())
        [0.0] [2.0]
    """
    return masked(set_to_zero(), mask)


@transformation
def selective_transform(optimizer: GradientTransformation, *, freeze_mask: bool | ArrayTree):
    """Applies `optimizer` where `freeze_mask` is False, and sets the other updates to zero.

    Args:
        optimizer: any transformation.
        freeze_mask: True where a parameter stays as it is: a boolean, a tree of booleans like the
            parameters, or a function from them to one.

    State: `PartitionState`; `optimizer` keeps nothing for frozen parameters.

    Example:
        >>> tx = gc.selective_transform(gc.sgd(1.0), freeze_mask={"a": True, "b": False})
        >>> g = {"a": jnp.array([1.0]), "b": jnp.array([2.0])}
        >>> u, _ = tx.update(g, tx.init(g))
        >>> print(u["a"].tolist(), u["b"].tolist())
        [0.0] [-2.0]
    """

    def label(tree: Params) -> PyTree:
        mask = freeze_mask(tree) if is_tree_fn(freeze_mask) else freeze_mask  # type: ignore[operator]
        return jax.tree.map(lambda frozen: "freeze" if frozen else "train", mask)

    return partition({"train": optimizer, "freeze": set_to_zero()}, label)
