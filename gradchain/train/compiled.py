"""The step that is compiled: any transformation, a key of its own, and the same places as before."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..core import GradientTransformation
from ..core.numerics import is_key
from ..core.types import PyTree
from ..tools.measurements import measurements
from ..tools.step import make_step
from .contents import Saved
from .placing import shardings_to_keep


def compiled_step(
    loss: Callable[..., Any], tx: GradientTransformation, run: Saved, *, has_aux: bool, measure: bool
) -> Callable[..., tuple[Any, Any, Any, dict[str, Any]]]:
    """`(params, state, batch, key, step) -> (params, state, loss, metrics)`, which reuses the first two.

    Args: run, of which only the places are read: what a step returns lies as what it was given.
    """
    take = make_step(tx, loss, has_aux=has_aux, same_args=False)

    def advance(params: PyTree, state: PyTree, batch: PyTree, key: Any, step: Any) -> Any:
        params, state, info = take(params, state, batch, jax.random.fold_in(key, step))
        metrics = {"grad_norm": info.grad_norm, **_checked(info.aux)}
        if measure:
            metrics |= measurements(state)
        return params, state, info.value, metrics

    places = (shardings_to_keep(run.params), shardings_to_keep(run.opt_state), None, None)
    return jax.jit(advance, donate_argnums=(0, 1), out_shardings=places)


def typed_key(key: Any) -> jax.Array:
    """A typed random key, from a seed or from a key of either kind.

    Raises: TypeError, for anything else.
    """
    if is_key(key):
        return key
    if isinstance(key, int):
        return jax.random.key(key)
    if getattr(key, "dtype", None) == jnp.uint32:
        return jax.random.wrap_key_data(key)
    raise TypeError(f"fit: key must be a seed or a random key, received {key!r}.")


def _checked(aux: Any) -> Mapping[str, Any]:
    if aux is None:
        return {}
    if not isinstance(aux, Mapping) or {"step", "loss"} & set(aux):
        raise TypeError(
            'fit: with has_aux, loss must return (loss, metrics), metrics a dict without "step" and '
            f'"loss", received {aux!r}.'
        )
    return aux
