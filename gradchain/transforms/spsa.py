"""Gradients estimated from two values of the loss: simultaneous perturbation."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    POSITIVE,
    GradientTransformationExtraArgs,
    Leaves,
    MissingExtraError,
    MissingParamsError,
    arguments_for,
    cast,
    compute_dtype,
    dtype_of,
    dtype_of_step,
    nearest,
    relaxed_promotion,
    safe_increment,
    transformation,
    widen,
)
from ..core.lists import scalar_dtype
from ..core.numerics import key_of
from ..core.types import Array, Count, Hyperparameter, Params, Updates
from ..tree.random import random_like

SAMPLERS: dict[str, Callable[..., Array]] = {
    "normal": jax.random.normal,
    "rademacher": jax.random.rademacher,
}
LARGE = 2**16
"""Entries of arrays whose noise is drawn one after the other."""


class ScaleBySpsaState(NamedTuple):
    """State of `scale_by_spsa`."""

    count: Count  # i32[]  steps taken
    rng_key: Array  # key[]  from which, with the count, each step's noise is drawn


@transformation(c=POSITIVE)
def scale_by_spsa(
    c: Hyperparameter = 0.1,
    distribution: Literal["rademacher", "normal"] = "rademacher",
    samples: int = 1,
    key: int | Array = 0,
):
    """Replaces the updates by an estimate of the gradient from two values of the loss.

    u = (f(p + c z) - f(p - c z)) / (2 c) z, with noise z of mean 0 and variance 1. The mean of u is the
    gradient, up to c^2. The noise is drawn again wherever it is used and never kept.

    `update` needs the extra argument `value_fn`, the loss as a function of the parameters; extra arguments
    that it names are passed on to it. No gradients are read: give the parameters in their place,
    `tx.step(params, state, params, value_fn=loss)`. Where there is None, a parameter stays.

    Args:
        c: how far to look, more than 0; at least some digits of the parameters' dtype.
        distribution: of z: "rademacher" (1 or -1) or "normal".
        samples: how many estimates are averaged; each takes two values of the loss.
        key: a random key, or an integer seed.

    State: `ScaleBySpsaState(count, rng_key)`. Memory: none.
    Raises: ValueError for an unknown distribution, for `samples` below 1, or without parameters; TypeError
        if `update` gets no `value_fn`.
    Reference: Spall, 1992, Multivariate Stochastic Approximation Using a Simultaneous Perturbation Gradient
        Approximation.

    Example:
        >>> tx, p = gc.scale_by_spsa(c=0.5), jnp.array([3.0])
        >>> u, _ = tx.update(p, tx.init(p), p, value_fn=lambda p: jnp.sum(p**2))
        >>> [round(x, 3) for x in u.tolist()]  # of one entry, exact: 2 p
        [6.0]
    """
    if distribution not in SAMPLERS:
        raise ValueError(
            f"scale_by_spsa: distribution must be one of {', '.join(map(repr, SAMPLERS))}, received "
            f"{distribution!r}.{nearest(str(distribution), SAMPLERS)}"
        )
    if samples < 1:
        raise ValueError(f"scale_by_spsa: samples must be at least 1, received {samples!r}.")
    sampler = SAMPLERS[distribution]

    def draw(key: Array, i: Any, p: Array) -> Array:
        """The noise of one leaf: the same whenever it is asked for."""

        def sample(key: Array, shape: tuple[int, ...], dtype: Any, **sharding: Any) -> Array:
            if not jnp.issubdtype(dtype, jnp.complexfloating):
                return sampler(key, shape, dtype, **sharding)
            real, imaginary = (sampler(k, shape, jnp.finfo(dtype).dtype) for k in jax.random.split(key))
            return jax.lax.complex(real, imaginary)

        return random_like(jax.random.fold_in(key, i), [p], sample, compute_dtype(dtype_of(p)))[0]

    def init(params: Params) -> ScaleBySpsaState:
        return ScaleBySpsaState(jnp.zeros([], jnp.int32), key_of(key))

    def update(
        updates: Updates,
        state: ScaleBySpsaState,
        params: Params | None = None,
        *,
        value_fn: Callable[..., Any] | None = None,
        **extra_args: Any,
    ) -> tuple[Updates, ScaleBySpsaState]:
        if params is None:
            raise MissingParamsError("scale_by_spsa")
        if value_fn is None:
            raise MissingExtraError("scale_by_spsa", "value_fn")
        leaves, dtype = Leaves("scale_by_spsa", updates, params), scalar_dtype(params)
        kwargs = arguments_for(value_fn, extra_args)
        keys = jax.random.split(jax.random.fold_in(state.rng_key, state.count), samples)

        def value(way: tuple[Array, Array]) -> tuple[Array, Array]:
            sample, sign = way
            # 0, but XLA cannot know it: else it would draw all noise once, before the loop, and keep it.
            zero = first = (jnp.abs(sign) > 2).astype(jnp.int32)
            moved = []
            for i, p in enumerate(leaves.ps):
                moved.append(cast(widen(p) + sign * c * draw(keys[sample], i + zero, p), dtype_of(p)))
                zero = _after(moved[-1], zero)
            return cast(jnp.asarray(value_fn(leaves.put(moved, params), **kwargs)), dtype), first

        with relaxed_promotion():
            # One after the other, so that one moved copy of the parameters exists at a time.
            ways = jnp.repeat(jnp.arange(samples), 2), jnp.tile(jnp.asarray([1.0, -1.0], dtype), samples)
            values, zeros = jax.lax.map(value, ways)
            slopes = (values[::2] - values[1::2]) / (2 * c * samples)
            us, zero = [], zeros[0]
            for i, (g, p) in enumerate(zip(leaves.gs, leaves.ps, strict=True)):

                def add(j: Any, u: Array, i: Any = i + zero, p: Array = p) -> Array:
                    return u + slopes[j] * draw(keys[j], i, p)

                u = add(0, jnp.zeros_like(widen(p)))
                u = u if samples == 1 else jax.lax.fori_loop(1, samples, add, u)
                us.append(cast(u, dtype_of_step(g, p)))
                zero = _after(us[-1], zero)
        return leaves.put(us, updates), state._replace(count=safe_increment(state.count))

    return GradientTransformationExtraArgs(init, update)


def _after(x: Array, zero: Array) -> Array:
    """`zero`, which must wait for a large array: so the next one's noise does not yet exist beside it.

    XLA cannot know that nothing is added but for a NaN.
    """
    return zero + jnp.isnan(x.ravel()[0]) if x.size >= LARGE else zero
