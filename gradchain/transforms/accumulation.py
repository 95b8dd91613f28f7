"""Accumulation of gradients over micro-steps, with one step for all of them."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    cast,
    check_updates,
    dtype_of,
    either,
    is_absent,
    is_none,
    leaves_like,
    relaxed_promotion,
    steps_like,
    transformation,
    widen,
    with_extra_args_support,
    wrapper,
    zeros_of,
)
from ..core.numerics import safe_increment, zeros_like
from ..core.types import Array, Count, DTypeLike, Numeric, OptState, Params, PyTree, Schedule, Updates
from ..tree.norm import sum_of_squares


class MultiStepsState(NamedTuple):
    """State of `MultiSteps` and `accumulate_gradients`."""

    mini_step: Array  # i32[]  micro-steps since the last step
    gradient_step: Array  # i32[]  steps taken
    inner_opt_state: OptState  # the inner transformation's
    acc_grads: Updates  # like params in the accumulator's dtype; mean or sum so far; () for k = 1
    skip_state: PyTree = ()  # what should_skip_update_fn last returned


class ShouldSkipUpdateFunction(Protocol):
    """Decides whether a micro-step is left out, e.g. because its gradient is not finite."""

    def __call__(
        self, updates: Updates, gradient_step: Array, params: Params | None
    ) -> tuple[ArrayLike, PyTree]: ...


def skip_not_finite(
    updates: Updates, gradient_step: Count, params: Params | None
) -> tuple[Array, dict[str, Array]]:
    """A `should_skip_update_fn`: leaves out gradients with a NaN or an infinity.

    Args: updates, any tree; gradient_step and params are not read.
    Returns: a boolean scalar, and `{"should_skip", "num_not_finite"}` with the count of such entries.
    """
    del gradient_step, params
    bad = [jnp.sum(~jnp.isfinite(x), dtype=jnp.int32) for x in jax.tree.leaves(updates)]
    count = sum(bad, start=jnp.zeros([], jnp.int32))
    return count > 0, {"should_skip": count > 0, "num_not_finite": count}


def skip_large_updates(
    updates: Updates, gradient_step: Count, params: Params | None, max_squared_norm: Numeric
) -> tuple[Array, dict[str, Array]]:
    """A `should_skip_update_fn` (through `functools.partial`): leaves out large gradients.

    Args: updates, any tree; max_squared_norm, skip unless the squared global norm, summed in at
        least float32, is below it (so NaN is skipped); gradient_step and params are not read.
    Returns: a boolean scalar, and `{"should_skip", "norm_squared"}`.
    """
    del gradient_step, params
    squared = sum_of_squares(updates)
    skip = jnp.logical_not(squared < max_squared_norm)
    return skip, {"should_skip": skip, "norm_squared": squared}


def _never(updates: Updates, gradient_step: Count, params: Params | None) -> tuple[np.bool_, tuple[()]]:
    return np.False_, ()


class MultiSteps:
    """Accumulates gradients over k micro-steps and gives the inner transformation their mean.

    Micro-steps before the k-th return zeros and do not run the inner transformation. With k = 1
    nothing is accumulated. `accumulate_gradients` is the same as an ordinary pair.

    Args:
        opt: any transformation.
        every_k_schedule: k, an integer of at least 1, or a function from the steps taken to k.
        use_grad_mean: True passes on the mean of the gradients, False their sum.
        should_skip_update_fn: decides from `(updates, gradient_step, params)` whether a micro-step
            is left out; it returns a boolean scalar and a tree to keep in `skip_state`.
        accumulator_dtype: dtype of the accumulator.

    Raises: ValueError for k below 1; TypeError if `opt` is not a pair `(init, update)`.
    """

    def __init__(
        self,
        opt: GradientTransformation,
        every_k_schedule: int | Schedule,
        use_grad_mean: bool = True,
        should_skip_update_fn: ShouldSkipUpdateFunction | None = None,
        accumulator_dtype: DTypeLike = jnp.float32,
    ):
        if not callable(every_k_schedule) and every_k_schedule < 1:
            raise ValueError(
                f"MultiSteps: every_k_schedule must be at least 1, received {every_k_schedule!r}."
            )
        self._opt = with_extra_args_support(opt)
        self._k = every_k_schedule
        self._mean = use_grad_mean
        self._skip = should_skip_update_fn or _never
        self._dtype = accumulator_dtype
        self._pair = wrapper(self.init, self._take, one_program=True)

    @property
    def inner_opt(self) -> GradientTransformationExtraArgs:
        """The transformation that takes the accumulated gradients."""
        return self._opt

    @property
    def _plain(self) -> bool:
        """Whether every micro-step is a step, so that there is nothing to accumulate."""
        return not callable(self._k) and self._k == 1

    def init(self, params: Params) -> MultiStepsState:
        """The first state; the accumulator is sharded like the parameters."""

        def zeros(p: Array) -> Array | None:
            return zeros_like(p, self._dtype) if hasattr(p, "shape") else None

        step = jnp.zeros([], jnp.int32)
        acc = () if self._plain else jax.tree.map(zeros, params)
        template = jax.tree.map(lambda p: zeros_like(p) if hasattr(p, "shape") else None, params)
        _, skip_state = self._skip(template, step, params)
        return MultiStepsState(jnp.zeros([], jnp.int32), step, self._opt.init(params), acc, skip_state)

    def update(
        self, updates: Updates, state: MultiStepsState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MultiStepsState]:
        """One micro-step: zeros, or at the k-th micro-step the updates of the inner transformation."""
        check_updates("MultiSteps", updates, params)
        return self._pair[1](updates, state, params, **extra_args)

    def step(
        self, grads: Updates, state: MultiStepsState, params: Params, **extra_args: Any
    ) -> tuple[Params, MultiStepsState]:
        """One micro-step: the same parameters, or at the k-th micro-step those after the inner step."""
        check_updates("MultiSteps", grads, params)
        return self._pair.step(grads, state, params, **extra_args)

    def _take(
        self, whole: bool, updates: Updates, state: MultiStepsState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, MultiStepsState]:
        skip, skip_state = self._skip(updates, state.gradient_step, params)
        if jnp.shape(skip) != () or dtype_of(skip) != jnp.bool_:
            raise ValueError(
                "MultiSteps: should_skip_update_fn must return a boolean scalar and a tree, received "
                f"{skip!r} as the scalar."
            )
        k = self._k(state.gradient_step) if callable(self._k) else self._k
        take = jnp.logical_not(skip)
        emit = jnp.logical_and(take, state.mini_step >= k - 1)
        old = state.inner_opt_state, state.acc_grads

        def run() -> tuple[Any, OptState]:
            grads = updates if self._plain else self._mean_gradient(updates, state)
            result, new = self._opt.run(whole, grads, state.inner_opt_state, params, **extra_args)
            return result, (new, zeros_of(state.acc_grads))

        def hold() -> tuple[Any, OptState]:
            acc = state.acc_grads
            if not self._plain:
                acc = self._add(updates, state)
                if self._skip is not _never:
                    acc = jax.tree.map(lambda new, old: jnp.where(take, new, old), acc, state.acc_grads)
            return params if whole else zeros_of(updates), (state.inner_opt_state, acc)

        if self._plain and self._skip is _never:
            result, (inner, acc) = run()
        else:
            inner = state.inner_opt_state
            like = params if whole else steps_like(self._opt, updates, inner, params, extra_args)
            result, (inner, acc) = either(emit, run, hold, (like, old))
        taken = jnp.where(take, safe_increment(state.mini_step), state.mini_step)
        mini_step = jnp.where(emit, jnp.zeros_like(state.mini_step), taken)
        step = jnp.where(emit, safe_increment(state.gradient_step), state.gradient_step)
        return result, MultiStepsState(mini_step, step, inner, acc, skip_state)

    def _add(self, updates: Updates, state: MultiStepsState) -> Updates:
        """The accumulator with one more gradient: a running mean, or a sum."""
        gs, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        accs = leaves_like("MultiSteps", "gradient", updates, "accumulator", state.acc_grads)

        def add(g: Array, a: Array | None) -> Array | None:
            if is_absent(g) or a is None:
                return a
            with relaxed_promotion():
                wide, g = widen(a), widen(g)
                new = wide + (g - wide) / (state.mini_step + 1) if self._mean else wide + g
            return cast(new, a.dtype)

        return jax.tree.unflatten(treedef, [add(g, a) for g, a in zip(gs, accs, strict=True)])

    def _mean_gradient(self, updates: Updates, state: MultiStepsState) -> Updates:
        def mean(g: Array, a: Array) -> Array:
            return g if is_absent(g) else cast(a, dtype_of(g))

        return jax.tree.map(mean, updates, self._add(updates, state), is_leaf=is_none)

    def has_updated(self, state: MultiStepsState) -> Array:
        """Whether the last micro-step was a step of the inner transformation: a boolean scalar."""
        return jnp.logical_and(state.mini_step == 0, state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformationExtraArgs:
        """The same as a pair."""
        inside = [(self._opt, ("inner_opt_state",))]
        return GradientTransformationExtraArgs(self.init, self.update, step=self.step, inside=inside)


@transformation
def accumulate_gradients(
    tx: GradientTransformation,
    every_k: int | Schedule,
    *,
    use_grad_mean: bool = True,
    should_skip_update_fn: ShouldSkipUpdateFunction | None = None,
    accumulator_dtype: DTypeLike = "float32",
):
    """Takes one step of `tx` with the mean of every k gradients: k small batches act as a large one.

    The other k - 1 updates are zeros and cost one addition each: `tx` runs only when its step is
    due. With k = 1 nothing is accumulated.

    Args:
        tx: any transformation.
        every_k: k, an integer of at least 1, or a function from the steps taken to k.
        use_grad_mean, should_skip_update_fn, accumulator_dtype: see `MultiSteps`.

    State: `MultiStepsState(mini_step, gradient_step, inner_opt_state, acc_grads, skip_state)`.
    Memory: 1 x the parameters in `accumulator_dtype` (nothing for k = 1), and `tx`'s.
    Raises: ValueError for k below 1.

    Example:
        >>> tx, p = gc.accumulate_gradients(gc.sgd(1.0), 2), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (1.0, 3.0):  # the second step goes by their mean
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist())
        [0.0]
        [-2.0]
    """
    return MultiSteps(
        tx, every_k, use_grad_mean, should_skip_update_fn, accumulator_dtype
    ).gradient_transformation()
