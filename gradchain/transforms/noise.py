"""Gaussian noise that fades."""

from typing import NamedTuple

import jax
from jax.sharding import NamedSharding

from ..core import FINITE, NON_NEGATIVE, compute_dtype, transformation, treewise, warn_user
from ..core.lists import each
from ..core.numerics import key_of, sqrt
from ..core.types import Array, Count, DTypeLike, Hyperparameter
from ..tree.random import random_like


class AddNoiseState(NamedTuple):
    """State of `add_noise`."""

    count: Count  # i32[]  steps taken
    rng_key: Array  # key[]  the key of the next noise


def _normal(
    key: Array, shape: tuple[int, ...], dtype: DTypeLike, *, out_sharding: NamedSharding | None = None
) -> Array:
    # Half precisions use the float32 numbers, which are rounded after the addition.
    sharding = {} if out_sharding is None else {"out_sharding": out_sharding}
    return jax.random.normal(key, shape, compute_dtype(dtype), **sharding)


@transformation(eta=NON_NEGATIVE, gamma=FINITE)
def add_noise(
    eta: Hyperparameter, gamma: Hyperparameter, key: int | Array | None = None, *, seed: int | None = None
):
    """Adds Gaussian noise whose variance fades: u_t = g_t + N(0, eta / t^gamma), with t from 1.

    Args:
        eta: variance of the first step's noise, at least 0.
        gamma: how fast the noise fades; 0.55 in the paper.
        key: a random key, or an integer seed; None for seed 0.
        seed: deprecated, another name of `key`.

    State: `AddNoiseState(count, rng_key)`. Memory: none.
    Raises: ValueError if both `key` and `seed` are given.
    Reference: Neelakantan et al., 2015, Adding Gradient Noise Improves Learning for Very Deep
        Networks, arXiv:1511.06807.

    Example:
        >>> tx, g = gc.add_noise(eta=0.01, gamma=0.55, key=0), jnp.zeros(1000)
        >>> u, _ = tx.update(g, tx.init(g))
        >>> round(float(u.std()), 1)  # the root of 0.01
        0.1
    """
    if seed is not None:
        if key is not None:
            raise ValueError("add_noise: key and seed are two names of one argument: give key.")
        warn_user("add_noise: seed is deprecated, use key.", DeprecationWarning)
    chosen: int | Array = seed if seed is not None else 0 if key is None else key

    def init(ps: list[Array]) -> AddNoiseState:
        return AddNoiseState(count=0, rng_key=key_of(chosen))

    def update(g: list[Array], s: AddNoiseState, p: list[Array]) -> tuple[list[Array], AddNoiseState]:
        rng_key, noise_key = jax.random.split(s.rng_key)
        deviation = sqrt(eta / s.count**gamma)
        noise = random_like(noise_key, g, _normal)
        return each(lambda g, n: g + deviation * n, g, noise), s._replace(rng_key=rng_key)

    return treewise(init, update, needs_params=False)
