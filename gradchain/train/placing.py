"""Where parameters and state lie when training begins."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from ..core import GradientTransformation
from ..core.numerics import is_key
from ..core.types import OptState, Params, PyTree
from ..sharding import state_sharding


def placed_state(tx: GradientTransformation, params: Params, shardings: PyTree) -> tuple[Params, OptState]:
    """Copies of the parameters, and the first state of `tx`, on their devices: they may be donated.

    Args:
        shardings: of the parameters, a tree or a prefix of one; None: the parameters are where they
            should be. The state lies as `state_sharding` says.
    """
    if shardings is not None:
        params = jax.device_put(params, shardings)

    def fresh(params: Params) -> tuple[Params, OptState]:
        return jax.tree.map(_copy, params), tx.init(params)

    named = [x.sharding for x in jax.tree.leaves(params) if _is_named(x)]
    if not named:
        return jax.jit(fresh)(params)
    everywhere = NamedSharding(named[0].mesh, PartitionSpec())
    places = jax.tree.map(lambda x: x.sharding if _is_named(x) else everywhere, params)
    return jax.jit(fresh, out_shardings=(places, state_sharding(tx, params, places)))(params)


def shardings_to_keep(tree: PyTree) -> PyTree:
    """The shardings that a compiled step must give its results; None where it may choose."""
    return jax.tree.map(lambda x: x.sharding if _is_named(x) else None, tree)


def like(tree: PyTree) -> PyTree:
    """Shapes, dtypes and shardings of arrays, which may then be freed."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


def _is_named(x: Any) -> bool:
    return isinstance(getattr(x, "sharding", None), NamedSharding)


def _copy(x: Any) -> jax.Array:
    """A copy, with a dtype that a Python number lacks."""
    return jnp.copy(x) if is_key(x) else jnp.array(x, dtype=jnp.asarray(x).dtype, copy=True)
