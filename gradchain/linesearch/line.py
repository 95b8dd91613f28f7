"""The loss along a line through the parameters: what every line search asks of the value function."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core import (
    Leaves,
    MissingExtraError,
    MissingParamsError,
    cast,
    dtype_of,
    has_gradient,
    is_absent,
    widen,
)
from ..core.lists import scalar_dtype, total
from ..core.numerics import zeros_like
from ..core.types import Params, Updates

ASKED = ("value", "grad", "value_fn")


@jax.jit
def _scaled(u: Any, t: Any) -> jax.Array:
    return cast(t * widen(u), dtype_of(u))


@jax.jit
def _moved(p: Any, u: Any, t: Any) -> jax.Array:
    return cast(widen(p) + widen(_scaled(u, t)), dtype_of(p))


@jax.jit
def _slope(g: Any, u: Any) -> jax.Array:
    return jnp.sum(jnp.real(widen(g) * widen(u)))


class Line:
    """t -> value_fn(params + t updates), rounded as `apply_updates` would round the step.

    Args:
        name: for errors.
        updates: the direction; parameters without one stay where they are.
        params: all parameters, as the value function sees them.
        extra_args: of the `update`; those that the value function names are passed on to it.

    Raises: MissingParamsError; MissingExtraError for `value`, `grad` or `value_fn`; ValueError, with
        the path, unless updates, gradients and parameters fit.
    """

    def __init__(self, name: str, updates: Updates, params: Params | None, extra_args: dict[str, Any]):
        if params is None:
            raise MissingParamsError(name)
        for argument in ASKED:
            if extra_args.get(argument) is None:
                raise MissingExtraError(name, argument)
        self.updates, self.present = updates, Leaves(name, updates, params)
        self.present.of("parameters", params)
        self.dtype = scalar_dtype(params)
        self.leaves, self.treedef = jax.tree.flatten(params)
        self.us: list[Any] = []
        for g, part in zip(self.present.all, self.present.all_of("parameters", params), strict=True):
            self.us += [None] * len(jax.tree.leaves(part)) if is_absent(g) else [g]
        self.trained = [i for i, p in enumerate(self.leaves) if has_gradient(p)]
        self.value_fn: Callable[..., Any] = extra_args["value_fn"]
        self.kwargs = _read_by(self.value_fn, extra_args)
        self.value = self.scalar(extra_args["value"])
        grads = self.present.of("extra argument grad", extra_args["grad"])
        self.slope = self.scalar(total([_slope(g, u) for g, u in zip(grads, self.present.gs, strict=True)]))
        self.grads = self.of_trained(extra_args["grad"])

    def scalar(self, x: Any) -> jax.Array:
        """`x` as a scalar of the search: real, at least float32."""
        return cast(jnp.asarray(x), self.dtype)

    def of_trained(self, grad: Any) -> list[Any]:
        """The gradients of the leaves that are trained, zeros where a gradient is absent."""
        parts = self.treedef.flatten_up_to(grad)
        grads = [zeros_like(self.leaves[i]) if is_absent(parts[i]) else parts[i] for i in self.trained]
        return [cast(g, dtype_of(self.leaves[i])) for i, g in zip(self.trained, grads, strict=True)]

    def _function_at(self, t: Any) -> tuple[Callable[[Sequence[Any]], jax.Array], list[Any]]:
        """The value as a function of the leaves that are trained, and those leaves at `t`."""
        point = [p if u is None else _moved(p, u, t) for p, u in zip(self.leaves, self.us, strict=True)]

        def f(trained: Sequence[Any]) -> jax.Array:
            leaves = list(point)
            for i, p in zip(self.trained, trained, strict=True):
                leaves[i] = p
            return self.value_fn(jax.tree.unflatten(self.treedef, leaves), **self.kwargs)

        return f, [point[i] for i in self.trained]

    def value_at(self, t: Any) -> jax.Array:
        """The value at `t`."""
        f, point = self._function_at(t)
        return self.scalar(f(point))

    def pullback_at(self, t: Any) -> tuple[jax.Array, Callable[[], list[Any]]]:
        """The value at `t`, and what computes the gradients there."""
        f, point = self._function_at(t)
        value, pullback = jax.vjp(f, point)
        return self.scalar(value), lambda: list(pullback(jnp.ones_like(value))[0])

    def at(self, t: Any) -> tuple[jax.Array, list[Any], jax.Array]:
        """The value, the gradients and the slope at `t`."""
        value, gradients = self.pullback_at(t)
        grads = gradients()
        moved = [(g, self.us[i]) for i, g in zip(self.trained, grads, strict=True)]
        slope = total([_slope(g, u) for g, u in moved if u is not None])
        return value, grads, self.scalar(slope)

    def step(self, t: Any) -> Updates:
        """The updates `t` times as long."""
        return self.present.put([_scaled(u, t) for u in self.present.gs], self.updates)

    def put(self, grads: Sequence[Any], tree: Any) -> Any:
        """The gradients in the places of `tree`, which is like the parameters."""
        leaves = self.treedef.flatten_up_to(tree)
        for i, g in zip(self.trained, grads, strict=True):
            leaves[i] = cast(g, dtype_of(leaves[i]))
        return jax.tree.unflatten(self.treedef, leaves)


def _read_by(f: Callable[..., Any], extra_args: dict[str, Any]) -> dict[str, Any]:
    """Those extra arguments that a value function names. **kwargs gets none, as in Optax."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return {}
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {k: v for k, v in extra_args.items() if k in names and k not in ASKED}


def where(condition: Any, xs: Sequence[Any], ys: Sequence[Any]) -> list[Any]:
    """`xs` if the scalar condition holds, else `ys`."""
    return [jnp.where(condition, x, y) for x, y in zip(xs, ys, strict=True)]


def note(condition: Any, text: str, **values: Any) -> None:
    """Prints, from compiled code, where the condition holds."""
    jax.lax.cond(condition, lambda: jax.debug.print(text, **values), lambda: None)
