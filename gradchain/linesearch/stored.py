"""The value and gradient that a line search has left in the state."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import cast, dtype_of
from ..core.types import OptState, Params
from ..tree import get


def value_and_grad_from_state(value_fn: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """A `jax.value_and_grad(value_fn)` that takes both from the state of a line search if they are there.

    `value_and_grad(params, *args, state=state, **kwargs)` returns `(value, grad)`. The function runs
    only where the stored value is infinite or NaN, as it is before the first step. What is stored
    belongs to the arguments of the last step: other data need a value of their own.

    Args: value_fn, `value_fn(params, *args, **kwargs)` to one real number.
    Raises: ValueError if the state holds no value or no gradient (`store_grad=False`), KeyError if it
        holds several.
    """

    def value_and_grad(params: Params, *args: Any, state: OptState, **kwargs: Any) -> tuple[Any, Any]:
        value, grad = get(state, "value"), get(state, "grad")
        if value is None or grad is None:
            raise ValueError(
                "value_and_grad_from_state: the state holds no value and gradient. Use "
                "scale_by_zoom_linesearch, or scale_by_backtracking_linesearch(store_grad=True)."
            )
        return stored_or_computed(value_fn, value, grad, params, *args, **kwargs)

    return value_and_grad


def stored_or_computed(
    value_fn: Callable[..., Any], value: Any, grad: Any, params: Params, *args: Any, **kwargs: Any
) -> tuple[Any, Any]:
    """The stored value and gradient if the value is finite, else those computed."""

    def compute() -> tuple[Any, Any]:
        found = jax.value_and_grad(value_fn)(params, *args, **kwargs)
        return jax.tree.map(lambda x, like: cast(x, dtype_of(like)), found, (value, grad))

    return jax.lax.cond(jnp.isfinite(value), lambda: (value, grad), compute)
