"""Running a transformation only when it is wanted, and as one compiled step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._dtypes import cast, dtype_of, dtype_of_step
from ._leaves import is_none, leaves_like
from .types import OptState, Params, TransformUpdateExtraArgsFn, Updates

Step = Callable[[], tuple[Updates, OptState]]


def _is_array(x: Any) -> bool:
    return isinstance(x, (jax.Array, np.ndarray, np.generic, bool, int, float, complex))


def zeros_of(tree: Updates) -> Updates:
    """Zeros that vary over the same devices as `tree` (inside `shard_map`, `zeros_like` does not)."""
    return jax.tree.map(lambda x: jnp.where(False, x, jnp.zeros_like(x)), tree)


def either(
    wanted: Any, yes: Step, no: Step, updates: Updates, state: OptState, params: Params | None = None
) -> Any:
    """`yes()` where `wanted`, else `no()`: a real conditional, only one of them is computed.

    Args:
        wanted: a boolean scalar. Under `vmap` both are computed and selected from.
        yes, no: give updates like `updates` and a state like `state`; results are cast to their
            dtypes. Leaves of the state that are not arrays stay as they are.
        updates, state: what the results look like.
        params: the parameters, if known: updates get their dtypes where these are wider.
    """
    leaves, treedef = jax.tree.flatten(state)
    arrays = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]
    gs = jax.tree.leaves(updates, is_leaf=is_none)
    ps = [None] * len(gs)
    if params is not None:
        ps = leaves_like("update", "gradient", updates, "parameters", params)
    dtypes = [dtype_of_step(g, p) for g, p in zip(gs, ps, strict=True) if g is not None]

    def packed(step: Step) -> tuple[list[Any], list[Any]]:
        new_updates, new_state = step()
        us = [cast(u, dtype) for u, dtype in zip(jax.tree.leaves(new_updates), dtypes, strict=True)]
        new = treedef.flatten_up_to(new_state)
        return us, [cast(new[i], dtype_of(leaves[i])) for i in arrays]

    us, kept = jax.lax.cond(wanted, lambda: packed(yes), lambda: packed(no))
    for i, leaf in zip(arrays, kept, strict=True):
        leaves[i] = leaf
    return jax.tree.unflatten(jax.tree.structure(updates), us), jax.tree.unflatten(treedef, leaves)


def compiled(update: TransformUpdateExtraArgsFn) -> TransformUpdateExtraArgsFn:
    """The same update as one compiled step, so that it is as fast outside `jit` as inside.

    Conditionals and rebuilt transformations would otherwise be traced anew at every call. Arguments
    that are not arrays (a `value_fn`, say) make it run as it is.
    """

    @jax.jit
    def step(updates: Updates, state: OptState, params: Params, extra_args: dict[str, Any]) -> Any:
        return update(updates, state, params, **extra_args)

    def compiled_update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        if all(map(_is_array, jax.tree.leaves((updates, state, params, extra_args)))):
            return step(updates, state, params, extra_args)
        return update(updates, state, params, **extra_args)

    return compiled_update
