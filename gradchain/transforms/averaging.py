"""Averages of the parameters, kept beside the training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    CLOSED_UNIT,
    NON_NEGATIVE,
    POSITIVE,
    GradientTransformationExtraArgs,
    Leaves,
    MissingParamsError,
    apply_updates,
    cast,
    compute_dtype,
    dtype_of,
    relaxed_promotion,
    transformation,
    widen,
    wrapper,
)
from ..core.lists import each
from ..core.numerics import one_minus, safe_increment, zeros_like
from ..core.types import Array, Count, DTypeLike, Numeric, Params, Updates
from ..tree.placeholder import is_placeholder
from .masking import MaskedNode


def _mean(state: Any, params: Params, mixture: Any = None) -> Params:
    """The weighted sum of a state over its weight, mixed with the parameters; these before the first."""

    def mean(total: Any, p: Any) -> Any:
        if isinstance(total, MaskedNode):
            return p
        with relaxed_promotion():
            average = widen(total) / jnp.where(state.weight > 0, state.weight, 1)
            mixed = average if mixture is None else mixture * average + (1 - mixture) * widen(p)
            return cast(jnp.where(state.weight > 0, mixed, widen(p)), dtype_of(p))

    return jax.tree.map(mean, state.average, params, is_leaf=lambda x: isinstance(x, MaskedNode))


def _as_if_always(state: Any, params: Params) -> Any:
    """The state whose average is of these parameters alone."""

    def total(old: Any, p: Any) -> Any:
        if isinstance(old, MaskedNode):
            return old
        with relaxed_promotion():
            return cast(state.weight * widen(p), dtype_of(old))

    average = jax.tree.map(total, state.average, params, is_leaf=lambda x: isinstance(x, MaskedNode))
    return state._replace(average=average)


class AveragedParamsState(NamedTuple):
    """State of `ema_params` and `swa_params`."""

    count: Count  # i32[]  steps taken
    weight: Array  # f32[]  the sum of the weights in the average: 0 before the first, at most 1
    average: Params  # like params, at least float32, or accumulator_dtype; the weighted sum

    def eval_params(self, params: Params) -> Params:
        """The average, without the bias of its start; the parameters themselves before the first."""
        return _mean(self, params)

    def as_if_always(self, params: Params) -> "AveragedParamsState":
        """The state if the parameters had always been these: what `reset` takes."""
        return _as_if_always(self, params)


class TailAveragedParamsState(NamedTuple):
    """State of `tail_ema_params`."""

    count: Count  # i32[]  steps taken
    weight: Array  # f32[]  the sum of the weights in the average: 0 before the first, at most 1
    mixture: Array  # f32[]  share of the average in what is evaluated
    average: Params  # like params, at least float32, or accumulator_dtype; the weighted sum

    def eval_params(self, params: Params) -> Params:
        """The mixture of parameters and average; the parameters themselves before the first."""
        return _mean(self, params, self.mixture)

    def as_if_always(self, params: Params) -> "TailAveragedParamsState":
        """The state if the parameters had always been these: what `reset` takes."""
        return _as_if_always(self, params)


@transformation(decay=CLOSED_UNIT, start_step=NON_NEGATIVE)
def ema_params(decay: Numeric = 0.999, *, start_step: int = 0, accumulator_dtype: DTypeLike | None = None):
    """Keeps a moving average of the parameters; the updates pass unchanged.

    a = decay a + (1 - decay) (p + u);  w = decay w + (1 - decay);  the average is a / w, without the bias
    of its start. Put it last in a chain, `chain(adamw(1e-3), ema_params(0.999))`, and evaluate
    `eval_params(state, params)`.

    Args:
        decay: in [0, 1]; the average is over about the last 1 / (1 - decay) steps.
        start_step: the steps before it do not count: an average of the tail of a run.
        accumulator_dtype: dtype of a, by default the parameter's, but at least float32: in bfloat16 it
            would stand still.

    State: `AveragedParamsState(count, weight, average)`. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Polyak and Juditsky, 1992, Acceleration of Stochastic Approximation by Averaging.

    Example:
        >>> tx, p = gc.chain(gc.sgd(1.0), gc.ema_params(0.5)), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -2.0):  # to 1, then to 3
        ...     p, state = tx.step(jnp.array([g]), state, p)
        >>> [round(x, 3) for x in gc.eval_params(state, p).tolist()]  # 1/3 of 1, 2/3 of 3
        [2.333]
    """

    def share(step: Array, weight: Array) -> Array:
        return jnp.where(step > start_step, one_minus(decay), 0)

    return _averaging("ema_params", share, accumulator_dtype)


@transformation(start_step=NON_NEGATIVE, time_constant=POSITIVE, mixture=CLOSED_UNIT)
def tail_ema_params(
    start_step: int,
    time_constant: Numeric = 150.0,
    mixture: Numeric = 0.6,
    *,
    accumulator_dtype: DTypeLike | None = None,
):
    """Keeps a moving average of the last part of a run, to be mixed with the parameters.

    After start_step: a = d a + (1 - d) (p + u), w = d w + (1 - d) with d = exp(-1 / time_constant).
    Evaluated is (1 - mixture) p + mixture a / w. While the learning rate still falls the average lags
    behind, and the mixture is better than both. Put it last in a chain and evaluate
    `eval_params(state, params)`.

    Args:
        start_step: the steps before it do not count.
        time_constant: steps after which a weight has fallen to 1 / e, positive.
        mixture: share of the average, in [0, 1]; at 1 it is `ema_params`.
        accumulator_dtype: dtype of a, by default the parameter's, but at least float32.

    State: `TailAveragedParamsState(count, weight, mixture, average)`. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters, or for a number out of range.
    Reference: Jordan et al., 2024, modded-nanogpt: Speedrunning the NanoGPT baseline.

    Example:
        >>> tx = gc.chain(gc.sgd(1.0), gc.tail_ema_params(1, mixture=0.5))
        >>> p = jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -2.0, -2.0):  # to 1, 3 and 5; the average is of the last two
        ...     p, state = tx.step(jnp.array([g]), state, p)
        >>> [round(x, 2) for x in gc.eval_params(state, p).tolist()]
        [4.5]
    """

    def share(step: Array, weight: Array) -> Array:
        return jnp.where(step > start_step, -jnp.expm1(-1 / jnp.asarray(time_constant)), 0)

    def make(count: Array, weight: Array, average: Params) -> TailAveragedParamsState:
        return TailAveragedParamsState(count, weight, jnp.asarray(mixture, jnp.float32), average)

    return _averaging("tail_ema_params", share, accumulator_dtype, make)


@transformation(start_step=NON_NEGATIVE)
def swa_params(start_step: int = 0, every: int = 1, *, accumulator_dtype: DTypeLike | None = None):
    """Keeps the mean of the parameters on the way; the updates pass unchanged.

    The n-th model that counts enters with the weight 1 / n. Put it last in a chain,
    `chain(sgd(rate), swa_params(10_000, every=100))`, with a constant or cyclic rate from `start_step` on,
    and evaluate `eval_params(state, params)`.

    Args:
        start_step: the steps before it do not count.
        every: each so many steps one counts, the first of them after step `start_step`.
        accumulator_dtype: dtype of the mean, by default the parameter's, but at least float32.

    State: `AveragedParamsState(count, weight, average)`. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters, or for `every` below 1.
    Reference: Izmailov et al., 2018, Averaging Weights Leads to Wider Optima and Better Generalization,
        arXiv:1803.05407.

    Example:
        >>> tx, p = gc.chain(gc.sgd(1.0), gc.swa_params()), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -2.0):  # to 1, then to 3
        ...     p, state = tx.step(jnp.array([g]), state, p)
        >>> [round(x, 3) for x in gc.eval_params(state, p).tolist()]  # the mean of 1 and 3
        [2.0]
    """
    if every < 1:
        raise ValueError(f"swa_params: every must be at least 1, received {every}.")

    def share(step: Array, weight: Array) -> Array:
        since = step - start_step - 1
        due = (since >= 0) & (since % every == 0)
        return jnp.where(due, 1 / (1 + jnp.maximum(since, 0) // every), 0)

    return _averaging("swa_params", share, accumulator_dtype)


def _averaging(
    name: str,
    share: Callable[[Array, Array], Array],
    dtype: DTypeLike | None,
    make: Callable[[Array, Array, Params], Any] = AveragedParamsState,
) -> GradientTransformationExtraArgs:
    """An average into which each step's parameters enter with a share: a = a + share (p - a).

    Args: make, makes the state from count, weight and average.
    """

    def init(params: Params) -> Any:
        average = params
        if not is_placeholder(params):
            average = jax.tree.map(lambda p: zeros_like(p, dtype or compute_dtype(dtype_of(p))), params)
        return make(jnp.zeros([], jnp.int32), jnp.zeros([], jnp.float32), average)

    def run(
        whole: bool, updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        if params is None:
            raise MissingParamsError(name)
        leaves, new = Leaves(name, updates, params), apply_updates(params, updates)
        count = safe_increment(state.count)
        part = jnp.asarray(share(count, state.weight), jnp.float32)

        def move(a: Array, p: Array) -> Array:
            return cast(widen(a) + part * (widen(p) - widen(a)), dtype_of(a))

        with relaxed_promotion():
            averages = each(move, leaves.of("average", state.average), leaves.of("new parameters", new))
            weight = state.weight + part * (1 - state.weight)
        return new if whole else updates, make(count, weight, leaves.put(averages, state.average))

    return wrapper(init, run)
