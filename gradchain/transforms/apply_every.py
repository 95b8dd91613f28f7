"""The sum of updates, every k steps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    apply_updates,
    cast,
    check_updates,
    compiled,
    dtype_of,
    either,
    is_absent,
    is_none,
    leaves_like,
    relaxed_promotion,
    transformation,
    widen,
)
from ..core.numerics import zeros_like
from ..core.types import Array, Numeric, Params, Updates


class ApplyEvery(NamedTuple):
    """State of `apply_every`."""

    count: Array  # i32[]  updates summed since the sum was last returned
    grad_acc: Updates  # like params; their sum


@transformation
def apply_every(k: Numeric = 1):
    """Sums updates and returns the sum every k-th time; in between it returns zeros.

    The links before it run every time, so their states see every gradient. After a rule such as
    Adam's, this differs from a larger batch. For a larger batch, use `accumulate_gradients`.

    Args: k, at least 1.
    State: `ApplyEvery(count, grad_acc)`. Memory: 1 x the parameters.
    Raises: ValueError for k below 1.

    Example:
        >>> tx = gc.apply_every(2)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (1.0, 3.0):
        ...     u, state = tx.update(jnp.array([g]), state)
        ...     print(u.tolist())
        [0.0]
        [4.0]
    """
    if isinstance(k, int) and k < 1:
        raise ValueError(f"apply_every: k must be at least 1, received {k!r}.")

    def init(params: Params) -> ApplyEvery:
        return ApplyEvery(jnp.zeros([], jnp.int32), jax.tree.map(zeros_like, params))

    def summed(updates: Updates, state: ApplyEvery) -> Updates:
        """The sum with one more update."""
        gs, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        sums = leaves_like("apply_every", "gradient", updates, "sum", state.grad_acc)

        def add(g: Array, a: Array) -> Array:
            if is_absent(g):
                return a
            with relaxed_promotion():
                return widen(g) + jnp.where(state.count == 0, 0, widen(a))

        return treedef.unflatten(map(add, gs, sums))

    def kept(total: Updates, state: ApplyEvery, emit: Array) -> ApplyEvery:
        acc = jax.tree.map(lambda x, old: cast(x, dtype_of(old)), total, state.grad_acc)
        return ApplyEvery(jnp.where(emit, jnp.zeros_like(state.count), state.count + 1), acc)

    def update(
        updates: Updates, state: ApplyEvery, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ApplyEvery]:
        check_updates("apply_every", updates, params)
        emit, total = state.count == k - 1, summed(updates, state)

        def sent(g: Array, x: Array) -> Array:
            return g if is_absent(g) else cast(jnp.where(emit, x, 0), dtype_of(g))

        us = jax.tree.map(sent, updates, total, is_leaf=is_none)
        return us, kept(total, state, emit)

    def step(
        grads: Updates, state: ApplyEvery, params: Params, **extra_args: Any
    ) -> tuple[Params, ApplyEvery]:
        check_updates("apply_every", grads, params)
        emit, total = state.count == k - 1, summed(grads, state)

        def sent(g: Array, x: Array) -> Array:
            return g if is_absent(g) else cast(x, dtype_of(g))

        def moved() -> Params:
            return apply_updates(params, jax.tree.map(sent, grads, total, is_leaf=is_none))

        return either(emit, moved, lambda: params, params), kept(total, state, emit)

    return GradientTransformationExtraArgs(init, update, step=compiled(step))
