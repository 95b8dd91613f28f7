"""The value and gradient that a line search has left in the state."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core.types import OptState, Params
from ..tree import cast_like, get


def value_and_grad_from_state(value_fn: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """Like `jax.value_and_grad(value_fn)`, but takes both from the state of a line search.

    `value_and_grad(params, *args, state=state, **kwargs)` returns `(value, grad)`. The function runs
    only if the stored value is infinite or NaN, as it is before the first step. The stored value
    belongs to the arguments of the last step. With other data, call `jax.value_and_grad` instead.

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
        return cast_like(jax.value_and_grad(value_fn)(params, *args, **kwargs), (value, grad))

    return jax.lax.cond(jnp.isfinite(value), lambda: (value, grad), compute)
