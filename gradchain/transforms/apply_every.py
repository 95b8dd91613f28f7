"""The sum of updates, every k steps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    cast,
    check_updates,
    dtype_of,
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
    """
    if isinstance(k, int) and k < 1:
        raise ValueError(f"apply_every: k must be at least 1, received {k!r}.")

    def init(params: Params) -> ApplyEvery:
        return ApplyEvery(jnp.zeros([], jnp.int32), jax.tree.map(zeros_like, params))

    def update(
        updates: Updates, state: ApplyEvery, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ApplyEvery]:
        check_updates("apply_every", updates, params)
        emit = state.count == k - 1
        gs, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        sums = leaves_like("apply_every", "gradient", updates, "sum", state.grad_acc)

        def add(g: Array, a: Array) -> tuple[Array, Array]:
            if is_absent(g):
                return g, a
            with relaxed_promotion():
                total = widen(g) + jnp.where(state.count == 0, 0, widen(a))
                return cast(jnp.where(emit, total, 0), dtype_of(g)), cast(total, dtype_of(a))

        rows = [add(g, a) for g, a in zip(gs, sums, strict=True)]
        us, acc = (jax.tree.unflatten(treedef, [row[i] for row in rows]) for i in (0, 1))
        count = jnp.where(emit, jnp.zeros_like(state.count), state.count + 1)
        return us, ApplyEvery(count, acc)

    return GradientTransformationExtraArgs(init, update)
