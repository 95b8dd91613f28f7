"""Functions mapped over the parts of a state that have the structure of the parameters."""

from collections.abc import Callable
from typing import Any, Protocol, Union, runtime_checkable

import jax

from ..core import is_packed, tree_mismatch
from ..core.types import OptState, Params, PyTree
from .placeholder import is_placeholder, placeholder


@runtime_checkable
class Initable(Protocol):
    """Anything with an `init`: a transformation."""

    def init(self, params: Params) -> OptState: ...


def map_params(
    initable: Union[Callable[[Params], OptState], Initable],
    f: Callable[..., Any],
    state: OptState,
    /,
    *rest: PyTree,
    transform_non_params: Callable[[Any], Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> OptState:
    """Applies a function to the parts of a state that are trees like the parameters, leaf by leaf.

    `map_params(tx, lambda leaf, sharding: jax.device_put(leaf, sharding), state, shardings)`.

    Args:
        initable: the transformation, or its `init`, of this library or another.
        f: `f(leaf, *rest_leaves)`, for every leaf of those parts. Of arrays in fewer bits (by
            `quantize_state`) it gets codes and scales, each with the same leaves of `rest`.
        state: a state of that transformation, or a tree of its structure.
        rest: trees with the structure of the parameters. Their leaves are skipped where the state has
            a `MaskedNode`, unless that is a leaf by `is_leaf`.
        transform_non_params: a function for all other leaves (counts, keys); None leaves them unchanged.
        is_leaf: which nodes of those parts also count as leaves.

    Raises: ValueError if `state` cannot be a state of the transformation.
    """
    init = initable.init if isinstance(initable, Initable) else initable
    pattern = init(placeholder())

    def map_part(part: Any, value: Any) -> Any:
        if is_placeholder(part):
            return _map_leaves(f, value, rest, is_leaf)
        return value if transform_non_params is None else transform_non_params(value)

    parts, treedef = jax.tree.flatten(pattern, is_leaf=is_placeholder)
    try:
        values = treedef.flatten_up_to(state)
    except ValueError:
        raise tree_mismatch(
            "map_params", "state of this transformation", pattern, "given state", state
        ) from None
    return jax.tree.unflatten(treedef, map(map_part, parts, values))


def _is_masked(x: Any) -> bool:
    """Whether `x` is the `MaskedNode` of this library or of Optax, by the name of its class."""
    return isinstance(x, tuple) and not x and type(x).__name__ == "MaskedNode"


def _map_leaves(
    f: Callable[..., Any], value: PyTree, rest: tuple[PyTree, ...], is_leaf: Callable[[Any], bool] | None
) -> PyTree:
    def stops(x: Any) -> bool:
        return _is_masked(x) or is_packed(x) or (is_leaf is not None and is_leaf(x))

    leaves, treedef = jax.tree.flatten(value, is_leaf=stops)
    try:
        columns = [treedef.flatten_up_to(tree) for tree in rest]
    except ValueError:
        wrong = next(t for t in rest if jax.tree.structure(t) != jax.tree.structure(value))
        raise tree_mismatch("map_params", "part of the state", value, "further tree", wrong) from None

    def apply(x: Any, *others: Any) -> Any:
        if is_leaf is not None and is_leaf(x):
            return f(x, *others)
        if is_packed(x):  # its codes and its scales, each with what goes with the array
            return jax.tree.map(lambda part: f(part, *others), x)
        return x if _is_masked(x) else f(x, *others)

    return jax.tree.unflatten(treedef, map(apply, leaves, *columns))
