"""The placeholder by which `map_params` finds the trees like the parameters in a state."""

import sys
from typing import Any

import jax


class ParamsPlaceholder:
    """A node without leaves that stands for all the parameters.

    A map over it returns it. So after `init(placeholder())` the state has the placeholder at every
    tree like the parameters. A wrapper whose `init` needs the structure of the parameters (for a
    mask that is a tree) must let it pass: `if is_placeholder(params)`.
    """


def _register(cls: type[Any]) -> type[Any]:
    jax.tree_util.register_pytree_node(cls, lambda _: ((), None), lambda *_: cls())
    return cls


_register(ParamsPlaceholder)
_kinds: dict[Any, type[Any]] = {}


def is_placeholder(params: Any) -> bool:
    """Whether `params` is the placeholder of `map_params`."""
    return isinstance(params, ParamsPlaceholder)


def placeholder() -> Any:
    """A placeholder; if Optax is loaded, Optax's wrappers recognize it too."""
    module = sys.modules.get("optax.tree_utils._state_utils")
    optax_class = getattr(module, "_ParamsPlaceholder", None)
    if optax_class is None:
        return ParamsPlaceholder()
    if optax_class not in _kinds:
        _kinds[optax_class] = _register(type("ParamsPlaceholder", (ParamsPlaceholder, optax_class), {}))
    return _kinds[optax_class]()
