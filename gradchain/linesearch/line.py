"""The loss along a line through the parameters: what every line search asks of the value function."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core import (
    Leaves,
    MissingExtraError,
    MissingParamsError,
    arguments_for,
    cast,
    dtype_of,
    has_gradient,
    is_absent,
    widen,
)
from ..core.lists import scalar_dtype, total
from ..core.numerics import zeros_like
from ..core.types import Params, Updates

NEEDED = ("value", "grad", "value_fn")


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
    """The loss as a function of the step's length t: value_fn(params + t updates).

    The parameters are rounded as `apply_updates` rounds them, so that the value is the one they have
    after the step.

    Args:
        name: what errors call the search.
        updates: the direction. Parameters without one stay where they are.
        params: all parameters, as the value function sees them.
        extra_args: those of `update`. What the value function names is passed on to it.

    Attributes: value, grads and slope at t = 0.

    Raises: MissingParamsError; MissingExtraError for `value`, `grad` or `value_fn`; ValueError, with
        the path, unless updates, gradients and parameters fit.
    """

    def __init__(self, name: str, updates: Updates, params: Params | None, extra_args: dict[str, Any]):
        if params is None:
            raise MissingParamsError(name)
        for argument in NEEDED:
            if extra_args.get(argument) is None:
                raise MissingExtraError(name, argument)
        self.updates, self.present = updates, Leaves(name, updates, params)
        self.present.of("parameters", params)
        self.dtype = scalar_dtype(params)
        self.leaves, self.treedef = jax.tree.flatten(params)
        self.directions: list[Any] = []  # one for each leaf of the parameters, or None
        for g, part in zip(self.present.all, self.present.all_of("parameters", params), strict=True):
            self.directions += [None] * len(jax.tree.leaves(part)) if is_absent(g) else [g]
        self.trained = [i for i, p in enumerate(self.leaves) if has_gradient(p)]  # places in `leaves`
        self.value_fn: Callable[..., Any] = extra_args["value_fn"]
        self.kwargs = arguments_for(self.value_fn, extra_args, but=NEEDED)
        self.value = self.scalar(extra_args["value"])
        grads = self.present.of("extra argument grad", extra_args["grad"])
        self.slope = self._whole_slope(zip(grads, self.present.gs, strict=True))
        self.grads = self._trained_grads(extra_args["grad"])

    def scalar(self, x: Any) -> jax.Array:
        """`x` as a scalar of the search: real, at least float32."""
        return cast(jnp.asarray(x), self.dtype)

    def _whole_slope(self, pairs: Iterable[tuple[Any, Any]]) -> jax.Array:
        """The slope along the line, from pairs of a gradient and a direction."""
        return self.scalar(total([_slope(g, u) for g, u in pairs]))

    def _trained_grads(self, grad: Any) -> list[Any]:
        """The gradients of the leaves that are trained, with zeros where one is absent."""
        parts = self.treedef.flatten_up_to(grad)
        grads = [zeros_like(self.leaves[i]) if is_absent(parts[i]) else parts[i] for i in self.trained]
        return [cast(g, dtype_of(self.leaves[i])) for i, g in zip(self.trained, grads, strict=True)]

    def _function_at(self, t: Any) -> tuple[Callable[[Sequence[Any]], jax.Array], list[Any]]:
        """The value as a function of the leaves that are trained, and those leaves at `t`."""
        moves = zip(self.leaves, self.directions, strict=True)
        point = [p if u is None else _moved(p, u, t) for p, u in moves]

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
        """The value at `t`, and a function that computes the gradients there."""
        f, point = self._function_at(t)
        value, pullback = jax.vjp(f, point)
        return self.scalar(value), lambda: list(pullback(jnp.ones_like(value))[0])

    def value_grads_slope_at(self, t: Any) -> tuple[jax.Array, list[Any], jax.Array]:
        """The value, the gradients and the slope at `t`."""
        value, gradients = self.pullback_at(t)
        grads = gradients()
        pairs = [(g, self.directions[i]) for i, g in zip(self.trained, grads, strict=True)]
        return value, grads, self._whole_slope((g, u) for g, u in pairs if u is not None)

    def step(self, t: Any) -> Updates:
        """The updates `t` times as long."""
        return self.present.put([_scaled(u, t) for u in self.present.gs], self.updates)

    def put(self, grads: Sequence[Any], tree: Any) -> Any:
        """`tree`, which is like the parameters, with these gradients in it."""
        leaves = self.treedef.flatten_up_to(tree)
        for i, g in zip(self.trained, grads, strict=True):
            leaves[i] = cast(g, dtype_of(leaves[i]))
        return jax.tree.unflatten(self.treedef, leaves)


def print_where(condition: Any, text: str, **values: Any) -> None:
    """Prints, from compiled code, if the condition holds."""
    jax.lax.cond(condition, lambda: jax.debug.print(text, **values), lambda: None)
