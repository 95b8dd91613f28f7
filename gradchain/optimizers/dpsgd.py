"""Gradient descent with differential privacy."""

from typing import Any, NamedTuple

import jax

from ..core import (
    NON_NEGATIVE,
    GradientTransformationExtraArgs,
    cast,
    chain,
    compute_dtype,
    dtype_of,
    identity,
    relaxed_promotion,
    transformation,
    warn_user,
    widen,
)
from ..core.numerics import key_of
from ..core.types import AddedNumber, Array, MaskOrFn, Numeric, Params, ScalarOrSchedule, Updates
from ..transforms import per_example_global_norm_clip, scale_by_learning_rate, trace
from ..transforms.decay import decoupled


class DifferentiallyPrivateAggregateState(NamedTuple):
    """State of `differentially_private_aggregate`."""

    rng_key: Array  # key[]  the key of the next noise


@transformation(l2_norm_clip=NON_NEGATIVE, noise_multiplier=NON_NEGATIVE)
def differentially_private_aggregate(
    l2_norm_clip: Numeric,
    noise_multiplier: Numeric,
    key: int | Array | None = None,
    *,
    seed: int | None = None,
):
    """The mean of clipped per-example gradients, with noise that hides any single example.

    u = (sum_i g_i min(1, C / |g_i|) + N(0, (noise_multiplier C)^2)) / n, with C = l2_norm_clip and
    |g_i| the norm of example i over all parameters.

    Args:
        l2_norm_clip: the largest norm of one example's gradient, at least 0.
        noise_multiplier: standard deviation of the noise over l2_norm_clip, at least 0.
        key: a random key, or an integer seed. It must be secret: privacy depends on it.
        seed: deprecated, another name of `key`.

    The first axis of every gradient is that of the n examples, as `jax.vmap(jax.grad(f))` returns
    them. Updates do not have this axis.

    State: `DifferentiallyPrivateAggregateState(rng_key)`. Memory: none.
    Raises: ValueError for gradients without examples, or for both `key` and `seed`.
    Reference: Abadi et al., 2016, Deep Learning with Differential Privacy, arXiv:1607.00133.

    Example:
        >>> tx, p = gc.contrib.differentially_private_aggregate(1.0, 0.0, key=0), jnp.zeros(2)
        >>> g = jnp.array([[3.0, 4.0], [0.0, 0.5]])  # two examples
        >>> u, _ = tx.update(g, tx.init(p), p)
        >>> [round(x, 3) for x in u.tolist()]  # the mean of [0.6, 0.8] and [0, 0.5]
        [0.3, 0.65]
    """
    name = "differentially_private_aggregate"
    if seed is not None:
        if key is not None:
            raise ValueError(f"{name}: key and seed are two names of one argument: give key.")
        warn_user(f"{name}: seed is deprecated, use key.", DeprecationWarning)
    elif key is None:
        warn_user(f"{name}: without a key everybody knows the noise; key 0 is used.", UserWarning)
    chosen = key if key is not None else seed if seed is not None else 0
    return _aggregate(l2_norm_clip, noise_multiplier, chosen)


def _aggregate(
    l2_norm_clip: Numeric, noise_multiplier: Numeric, key: int | Array
) -> GradientTransformationExtraArgs:
    def init(params: Params) -> DifferentiallyPrivateAggregateState:
        return DifferentiallyPrivateAggregateState(key_of(key))

    def update(
        updates: Updates,
        state: DifferentiallyPrivateAggregateState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[Updates, DifferentiallyPrivateAggregateState]:
        wide = jax.tree.map(widen, updates)
        sums, _ = per_example_global_norm_clip(wide, l2_norm_clip)
        leaves, treedef = jax.tree.flatten(sums)
        grads = jax.tree.leaves(updates)
        new_key, *keys = jax.random.split(state.rng_key, len(leaves) + 1)

        def noisy(g: Array, total: Array, k: Array) -> Array:
            noise = jax.random.normal(k, total.shape, compute_dtype(total.dtype))
            with relaxed_promotion():
                return cast((total + l2_norm_clip * noise_multiplier * noise) / g.shape[0], dtype_of(g))

        us = [noisy(*row) for row in zip(grads, leaves, keys, strict=True)]
        return jax.tree.unflatten(treedef, us), DifferentiallyPrivateAggregateState(new_key)

    return GradientTransformationExtraArgs(init, update)


@transformation(l2_norm_clip=NON_NEGATIVE, noise_multiplier=NON_NEGATIVE)
def dpsgd(
    learning_rate: ScalarOrSchedule,
    l2_norm_clip: Numeric,
    noise_multiplier: Numeric,
    seed: int | Array,
    momentum: Numeric | None = None,
    nesterov: bool = False,
    *,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """DP-SGD: p = p - learning_rate u, u the noisy mean of clipped per-example gradients.

    Gradients have one more axis than the parameters, see `differentially_private_aggregate`.

    Args:
        l2_norm_clip, noise_multiplier: see `differentially_private_aggregate`.
        seed: a random key, or an integer seed. It must be secret: privacy depends on it.
        momentum, nesterov: momentum of u, see `trace`; momentum None for none.

    State: a chain's: `DifferentiallyPrivateAggregateState`, `TraceState`, the learning rate's.
    Memory: 1 x the parameters with momentum, else nothing.
    Reference: Abadi et al., 2016, Deep Learning with Differential Privacy, arXiv:1607.00133.

    Example:
        >>> tx = gc.contrib.dpsgd(0.5, l2_norm_clip=1.0, noise_multiplier=0.0, seed=0)
        >>> p = jnp.zeros(2)
        >>> p, _ = tx.step(jnp.array([[-3.0, -4.0], [-6.0, -8.0]]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # each example counts as [-0.6, -0.8]
        [0.3, 0.4]
    """
    return chain(
        _aggregate(l2_norm_clip, noise_multiplier, seed),
        identity() if momentum is None else trace(momentum, nesterov),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
