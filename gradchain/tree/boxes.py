"""The boxes that Flax puts around arrays."""

from typing import Any

import jax

from ..core.types import OptState, PyTree

_BOXES = ("Variable", "AxisMetadata")


def is_box(x: Any) -> bool:
    """Whether this is an `nnx.Variable` (`nnx.Param`, ...) or a Linen `Partitioned`, of any subclass."""
    return any(c.__module__.startswith("flax.") and c.__name__ in _BOXES for c in type(x).__mro__)


def content(x: Any) -> Any:
    """What is in a box; anything else as it is."""
    if not is_box(x):
        return x
    return x.get_value() if hasattr(x, "get_value") else x.value


def unboxed(tree: PyTree) -> PyTree:
    """The tree with the arrays in place of their boxes."""
    return jax.tree.map(content, tree, is_leaf=is_box)


def opt_state_of(state: Any) -> OptState:
    """The state of a transformation, in Flax's `TrainState` or `nnx.Optimizer` too, without boxes."""
    held = state if hasattr(state, "_fields") else getattr(state, "opt_state", state)  # SAM's has one too
    return unboxed(held)
