"""Moving averages of the mean and variance of elements' gradients, beside an optimizer."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import (
    UNIT,
    GradientTransformation,
    GradientTransformationExtraArgs,
    MissingExtraError,
    chain,
    check_updates,
    identity,
    transformation,
    widen,
)
from ..core.numerics import debias, ema, safe_increment
from ..core.types import Count, OptState, Params, Updates
from ..tree.leaves import map_leaves
from ..tree.state import get
from .averages import wide_zeros
from .elements import Axes
from .moments import get_per_element_mean_and_sum_sq_diff_grads, squares_like
from .process import process

NAME = "track_per_element_mean_and_variance_with_ema"


class PerElementMeanAndVarianceEMAState(NamedTuple):
    """State of `track_per_element_mean_and_variance_with_ema`."""

    count: Count  # i32[]  steps taken
    ema_decay: jax.Array  # f[]  the decay
    mean_grads_ema: Updates  # like params, at least float32; average of the means, biased to zero
    variance_grads_ema: Updates  # like |params|, at least float32; average of the variances, biased


@transformation(ema_decay=UNIT)
def track_per_element_mean_and_variance_with_ema(
    ema_decay: ArrayLike = 0.9,
) -> GradientTransformationExtraArgs:
    """Keeps moving averages of mean and variance of elements' gradients; updates pass unchanged.

    m = d m + (1 - d) g and v = d v + (1 - d) s / (n - 1), with d = ema_decay and the extra arguments
    s = sum_sq_diff_grads and n = sample_size of `get_per_element_mean_and_sum_sq_diff_grads`.

    Args: ema_decay, in [0, 1).
    State: `PerElementMeanAndVarianceEMAState`; read it by `get_unbiased_mean_and_variance_ema`.
    Memory: 2 x the parameters, in at least float32.
    Raises: ValueError for a decay out of range, and for a sample of one element, which has no variance;
        TypeError if `update` lacks an extra argument.

    Example:
        >>> tx, g = gc.aggregation.track_per_element_mean_and_variance_with_ema(0.5), jnp.array([2.0])
        >>> aux = {"sum_sq_diff_grads": jnp.array([2.0]), "sample_size": 2}
        >>> _, state = tx.update(g, tx.init(g), **aux)
        >>> mean, variance = gc.aggregation.get_unbiased_mean_and_variance_ema(state)
        >>> mean.tolist(), variance.tolist()
        ([2.0], [2.0])
    """

    def init(params: Params) -> PerElementMeanAndVarianceEMAState:
        decay = jnp.asarray(ema_decay, jax.dtypes.canonicalize_dtype(float))
        zeros = wide_zeros(params), squares_like(params)
        return PerElementMeanAndVarianceEMAState(jnp.zeros([], jnp.int32), decay, *zeros)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, PerElementMeanAndVarianceEMAState]:
        for argument in ("sum_sq_diff_grads", "sample_size"):
            if extra_args.get(argument) is None:
                raise MissingExtraError(NAME, argument)
        n = extra_args["sample_size"]
        if isinstance(n, int) and n < 2:
            raise ValueError(f"{NAME}: a variance needs at least 2 elements, received sample_size={n}.")
        check_updates(NAME, updates, state.mean_grads_ema)

        def averaged(average: Any, new: Any) -> jax.Array:
            return jnp.asarray(ema(widen(new), average, ema_decay), average.dtype)

        squares = extra_args["sum_sq_diff_grads"]
        variance = map_leaves(NAME, lambda s: s / jnp.asarray(n - 1, s.dtype), squares)
        new = PerElementMeanAndVarianceEMAState(
            safe_increment(state.count),
            state.ema_decay,
            map_leaves(NAME, averaged, state.mean_grads_ema, updates),
            map_leaves(NAME, averaged, state.variance_grads_ema, variance),
        )
        return updates, new

    return GradientTransformationExtraArgs(init, update)


def get_unbiased_mean_and_variance_ema(state: OptState) -> tuple[Updates, Updates]:
    """Both averages of `track_per_element_mean_and_variance_with_ema` without their bias to zero.

    Args: state, of any transformation that contains it.
    Returns: the means and the variances, trees like the parameters; zeros before the first step.
    Raises: ValueError if the state contains none.
    """
    name = "get_unbiased_mean_and_variance_ema"
    found = get(state, "PerElementMeanAndVarianceEMAState")
    if found is None:
        raise ValueError(f"{name}: no PerElementMeanAndVarianceEMAState in the state: use {NAME}.")
    count = jnp.maximum(found.count, 1)

    def unbiased(average: Any) -> jax.Array:
        return jnp.asarray(debias(average, found.ema_decay, count), average.dtype)

    averages = found.mean_grads_ema, found.variance_grads_ema
    mean, variance = (map_leaves(name, unbiased, tree) for tree in averages)
    return mean, variance


@transformation(ema_decay=UNIT)
def add_mean_variance_to_opt(
    opt: GradientTransformation,
    ema_decay: ArrayLike = 0.9,
    per_elt_axis: Axes = 0,
    accumulation_steps: int = 1,
) -> GradientTransformationExtraArgs:
    """An optimizer on the gradients of single elements that also tracks their mean and variance.

    `opt` gets their mean. Read the averages by `get_unbiased_mean_and_variance_ema(state)`.

    Args:
        opt: any transformation.
        ema_decay: of the averages, in [0, 1).
        per_elt_axis: the axis or axes of the elements, in every leaf.
        accumulation_steps: how many calls make one step, at least 1, with batches of one size.

    Returns: an `Aggregator`.
    State: the tuple of `process`'s states.
    Memory: 2 x the parameters, in at least float32, 4 x over several calls, and `opt`'s.
    Raises: see `get_per_element_mean_and_sum_sq_diff_grads` and
        `track_per_element_mean_and_variance_with_ema`.

    Example:
        >>> tx, p = gc.aggregation.add_mean_variance_to_opt(gc.sgd(0.5)), jnp.array([2.0])
        >>> u, state = tx.update(jnp.array([[1.0], [3.0]]), tx.init(p), p)
        >>> _, variance = gc.aggregation.get_unbiased_mean_and_variance_ema(state)
        >>> u.tolist(), [round(x, 3) for x in variance.tolist()]
        ([-1.0], [2.0])
    """
    return process(
        identity(),
        get_per_element_mean_and_sum_sq_diff_grads(per_elt_axis, accumulation_steps),
        chain(track_per_element_mean_and_variance_with_ema(ema_decay), opt),
        aggregator_has_aux=True,
    )
