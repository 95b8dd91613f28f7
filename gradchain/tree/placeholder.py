"""What `map_params` initializes a transformation with, to see where its state follows parameters."""

import sys
from typing import Any

import jax


class ParamsPlaceholder:
    """A node without leaves that stands for all the parameters.

    Mapping over it gives it back, so wherever an `init` makes something like the parameters, the
    state holds the placeholder. A wrapper whose `init` needs the structure of the parameters (a
    mask given as a tree) must let it pass: `if is_placeholder(params)`.
    """


def _register(cls: type[Any]) -> type[Any]:
    jax.tree_util.register_pytree_node(cls, lambda _: ((), None), lambda *_: cls())
    return cls


_register(ParamsPlaceholder)
_kinds: dict[Any, type[Any]] = {}


def is_placeholder(params: Any) -> bool:
    """Whether these are not parameters but what `map_params` puts in their place."""
    return isinstance(params, ParamsPlaceholder)


def placeholder() -> Any:
    """A placeholder, which Optax's own wrappers recognize too where Optax is loaded."""
    module = sys.modules.get("optax.tree_utils._state_utils")
    theirs = getattr(module, "_ParamsPlaceholder", None)
    if theirs is None:
        return ParamsPlaceholder()
    if theirs not in _kinds:
        _kinds[theirs] = _register(type("ParamsPlaceholder", (ParamsPlaceholder, theirs), {}))
    return _kinds[theirs]()
