"""Putting updates into parameters."""

from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import cast, dtype_of, is_inexact, relaxed_promotion, widen
from ._errors import path_of_leaf
from ._leaves import is_absent, is_none, leaves_like
from .types import Params, Updates


def added(p: Any, u: Any) -> jax.Array:
    """A floating point or complex parameter after a step, in its own dtype."""
    with relaxed_promotion():
        return cast(widen(p) + widen(u), dtype_of(p))


_add = jax.jit(added)


@jax.jit
def _count(p: Any, u: Any) -> jax.Array:
    return jnp.asarray(p) + cast(u, dtype_of(p))  # modulo 2**bits: exact whatever the width of u


@jax.jit
def _mix(new: Any, old: Any, step_size: Any) -> jax.Array:
    with relaxed_promotion():
        return cast(step_size * widen(new) + (1 - step_size) * widen(old), dtype_of(old))


def apply_updates(params: Params, updates: Updates) -> Params:
    """The parameters after a step: params + updates.

    Args:
        params: the parameters, any pytree.
        updates: a pytree like them. None (and float0, the gradient JAX gives to integers) leaves a
            parameter as it is.

    Returns: the new parameters in the dtypes of the old ones; the sum is taken in at least float32, and
        for integers by integers (counters) in their own dtype, which wraps around.

    Raises:
        ValueError: structures or shapes that differ, with the path.
        TypeError: a floating point step for an integer parameter, which would be truncated silently, or
            any for a boolean one.
    """
    ps, treedef = jax.tree.flatten(params, is_leaf=is_none)
    us = leaves_like("apply_updates", "parameters", params, "updates", updates)
    return jax.tree.unflatten(
        treedef, [apply_one(params, i, p, u) for i, (p, u) in enumerate(zip(ps, us, strict=True))]
    )


def apply_one(params: Params, i: int, p: Any, u: Any) -> Any:
    """Parameter number `i` after a step; see `apply_updates`."""
    if p is None or is_absent(u):
        return p
    counts = jnp.issubdtype(dtype_of(p), jnp.integer)
    if not is_inexact(p) and (is_inexact(u) or not counts):
        why = (
            f"in which a step of dtype {dtype_of(u)} would be truncated"
            if counts
            else "which takes no step"
        )
        raise TypeError(
            f"apply_updates: parameter {path_of_leaf(params, i)} has dtype {dtype_of(p)}, {why}. "
            "Give None as its update, or keep it out of the parameters."
        )
    if jnp.shape(p) != jnp.shape(u):
        raise ValueError(
            f"apply_updates: update {path_of_leaf(params, i)} has shape {jnp.shape(u)} but its "
            f"parameter has shape {jnp.shape(p)}."
        )
    return _count(p, u) if counts else _add(p, u)


def incremental_update(new_tensors: Params, old_tensors: Params, step_size: Any) -> Params:
    """A slow copy of the parameters (Polyak averaging): step_size new + (1 - step_size) old.

    Args: two pytrees of one structure; step_size, in [0, 1], a number or a scalar array.
    Returns: a tree in the dtypes of `old_tensors`, computed in at least float32.
    Reference: Polyak and Juditsky, 1992, Acceleration of Stochastic Approximation by Averaging.
    """
    olds, treedef = jax.tree.flatten(old_tensors, is_leaf=is_none)
    news = leaves_like("incremental_update", "old tensors", old_tensors, "new tensors", new_tensors)
    mixed = [
        old if old is None or new is None else _mix(new, old, step_size)
        for new, old in zip(news, olds, strict=True)
    ]
    return jax.tree.unflatten(treedef, mixed)


def periodic_update(new_tensors: Params, old_tensors: Params, steps: Any, update_period: Any) -> Params:
    """The new tensors at every `update_period`-th step, else the old ones.

    Args: two pytrees of one structure; steps, the step count; update_period, in steps, at least 1.
    Reference: Grill et al., 2020, Bootstrap Your Own Latent, arXiv:2006.07733 (target networks).
    """
    due = jnp.equal(jnp.mod(jnp.asarray(steps), update_period), 0)
    leaves_like("periodic_update", "old tensors", old_tensors, "new tensors", new_tensors)
    return jax.lax.cond(due, lambda new, old: new, lambda new, old: old, new_tensors, old_tensors)
