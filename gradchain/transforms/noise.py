"""Gaussian noise that fades."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.dtypes import cast, compute_dtype, dtype_of, relaxed_promotion, widen
from ..core.errors import warn_user
from ..core.hyperparameters import FINITE, NON_NEGATIVE
from ..core.lift import check_updates, is_none
from ..core.numerics import safe_increment, sqrt
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import Hyperparameter, OptState, Params, Updates
from ..tree.random import random_like


class AddNoiseState(NamedTuple):
    """State of `add_noise`."""

    count: jax.Array  # i32[]  steps taken
    rng_key: jax.Array  # key[]  what the next noise is drawn from


def _normal(key: Any, shape: Any, dtype: Any, *, out_sharding: Any = None) -> jax.Array:
    # The half precisions get float32's numbers, rounded when they are added.
    where = {} if out_sharding is None else {"out_sharding": out_sharding}
    return jax.random.normal(key, shape, compute_dtype(dtype), **where)


@transformation(eta=NON_NEGATIVE, gamma=FINITE)
def add_noise(
    eta: Hyperparameter,
    gamma: Hyperparameter,
    key: Any = None,
    *,
    seed: int | None = None,
) -> GradientTransformationExtraArgs:
    """Adds Gaussian noise whose variance fades: u_t = g_t + N(0, eta / t^gamma), with t from 1.

    Args:
        eta: variance of the first step's noise, at least 0.
        gamma: how fast it fades; the paper's is 0.55.
        key: a random key, or an integer to make one from; None is 0.
        seed: deprecated, another name of `key`.

    State: `AddNoiseState(count, rng_key)`. Memory: none.
    Raises: ValueError if both `key` and `seed` are given.
    Reference: Neelakantan et al., 2015, Adding Gradient Noise Improves Learning for Very Deep
        Networks, arXiv:1511.06807.
    """
    if seed is not None:
        if key is not None:
            raise ValueError("add_noise: key and seed are two names of one argument: give key.")
        warn_user("add_noise: seed is deprecated, use key.", DeprecationWarning)
    chosen: Any = seed if seed is not None else 0 if key is None else key

    def init(params: Params) -> AddNoiseState:
        del params
        typed = hasattr(chosen, "dtype") and jnp.issubdtype(chosen.dtype, jax.dtypes.prng_key)
        rng_key = jnp.array(chosen) if typed else jax.random.key(chosen)
        return AddNoiseState(jnp.zeros([], jnp.int32), rng_key)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        check_updates("add_noise", updates, params)
        count = safe_increment(state.count)
        rng_key, now = jax.random.split(state.rng_key)
        noise = random_like(now, updates, _normal)
        with relaxed_promotion():
            deviation = sqrt(eta / count**gamma)
            updates = jax.tree.map(
                lambda g, n: None if g is None else cast(widen(g) + deviation * n, dtype_of(g)),
                updates,
                noise,
                is_leaf=is_none,
            )
        return updates, AddNoiseState(count, rng_key)

    return GradientTransformationExtraArgs(init, update)
