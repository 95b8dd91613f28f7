"""DiLoCo: every device takes its own steps, and all meet now and then."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    Axis,
    GradientTransformation,
    Leaves,
    MissingParamsError,
    Trait,
    apply_updates,
    cast,
    check_axis,
    check_own_gradients,
    compute_dtype,
    dtype_of,
    either,
    has_gradient,
    mean_over,
    transformation,
    typed_as,
    varying,
    widen,
    with_extra_args_support,
    wrapper,
)
from ..core.lists import each
from ..core.numerics import copy_of
from ..core.rounding import is_low, rounded
from ..core.types import Array, OptState, Params, Updates
from ..tree.placeholder import is_placeholder


class DilocoState(NamedTuple):
    """State of `diloco`."""

    steps_since_sync: Array  # i32[]  steps of this round; the same on all devices, as the next two
    start: Params  # like params, at least float32; where the round began; None where nothing is trained
    outer_state: OptState  # the outer transformation's
    inner_state: OptState  # the inner transformation's; each device's own


@transformation
def diloco(
    inner: GradientTransformation, outer: GradientTransformation, every: int, *, axis: Axis = "data"
):
    """Every device trains by itself, and at every `every`-th step all go on from one place.

    Each step: p = a step of `inner` with the device's own gradient. At the end of a round:
    d = mean over devices of (start - p);  start = a step of `outer` with d from start;  p = start.

        tx = diloco(adamw(4e-4, weight_decay=0.1), sgd(0.7, momentum=0.9, nesterov=True), every=500)

    Between the ends of two rounds nothing is sent. The inner states stay each device's own. In low
    precision a round's start is kept in float32, d is what the parameters have moved by since, and updates
    are exact differences in float32. A schedule of `outer` counts rounds.

    Args:
        inner: any transformation; it gets the extra arguments.
        outer: any transformation; it gets d as the gradient, and the round's start as the parameters.
        every: steps of a round, at least 1. With 1 all is sent at each step.
        axis: the axis, or axes, of devices; None for one device, where nothing is sent.

    Parameters and the inner state differ from device to device; all begin at the same parameters. By
    `step` all devices have the same parameters after a round, by `update` up to a rounding.
    State: `DilocoState(steps_since_sync, start, outer_state, inner_state)`.
    Memory: 1 x the parameters in float32, and the states of `inner` and `outer`.
    Raises: ValueError without parameters, outside of the axis, and for gradients that are summed already.
    Reference: Douillard et al., 2023, DiLoCo: Distributed Low-Communication Training of Language Models,
        arXiv:2311.08105.

    Example:
        >>> tx, p = gc.diloco(gc.sgd(0.5), gc.sgd(0.5), every=2), jnp.array([[0.0], [0.0]])
        >>> state = jax.vmap(tx.init, axis_name="data")(p)
        >>> for _ in range(2):  # two devices go apart; at 1 and 3, both go half of the way to the mean
        ...     p, state = jax.vmap(tx.step, axis_name="data")(jnp.array([[-1.0], [-3.0]]), state, p)
        ...     print(p.tolist())
        [[0.5], [1.5]]
        [[1.0], [1.0]]
    """
    check_axis("diloco", axis)
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"diloco: every must be a whole number of at least 1, received {every!r}.")
    tx, outer_tx = with_extra_args_support(inner), with_extra_args_support(outer)

    def init(params: Params) -> DilocoState:
        start = params if is_placeholder(params) else jax.tree.map(_start, params)
        # All but the inner state is as the start is: the same on all devices, if JAX knows it
        outer_state = varying(outer_tx.init(start), None, start)
        inner_state = varying(tx.init(params), axis, params)
        return DilocoState(jnp.zeros([], jnp.int32), start, outer_state, inner_state)

    def run(
        whole: bool, updates: Updates, state: DilocoState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, DilocoState]:
        if params is None:
            raise MissingParamsError("diloco")
        check_own_gradients("diloco", updates, axis)
        params = varying(params, axis)
        leaves = Leaves("diloco", updates, params)
        result, inner_state = tx.run(whole, updates, state.inner_state, params, **extra_args)
        new = result if whole else apply_updates(params, result)
        news = leaves.of("new parameters", new)
        results = news if whole else each(_step, leaves.ps, news, leaves.of("updates", result))

        def meet() -> Any:
            starts = leaves.of("round's start", state.start)
            moved = mean_over(axis, each(_moved, starts, news))
            nothing = leaves.treedef.unflatten([None] * len(leaves.all))
            at, outer_state = outer_tx.step(leaves.put(moved, nothing), state.outer_state, state.start)
            landed = each(_landed, leaves.of("round's start", at), leaves.ps)
            if not whole:
                landed = each(_difference, landed, leaves.ps)
            return typed_as((landed, at, outer_state), like)

        like = results, state.start, state.outer_state
        due = state.steps_since_sync >= every - 1
        met = meet() if every == 1 else either(due, meet, lambda: like, like)
        results, start, outer_state = met
        since = jnp.where(due, jnp.zeros_like(state.steps_since_sync), state.steps_since_sync + 1)
        result = leaves.put(results, params if whole else result)
        return result, DilocoState(since, start, outer_state, inner_state)

    inside = [(inner, ("inner_state",)), (outer, ("outer_state",))]
    return wrapper(init, run, one_program=True, inside=inside, traits=[Trait.LANDS])


def _start(p: Any) -> Array | None:
    """A copy of a parameter in at least float32; None of what is not trained."""
    return copy_of(p, compute_dtype(dtype_of(p))) if has_gradient(p) else None


def _rounded(weight: Array, p: Array) -> Array:
    """The number nearest to a weight that a parameter can hold, in the weight's dtype."""
    return rounded(weight, p.dtype) if is_low(p) else weight


def _moved(start: Array, p: Array) -> Array:
    """How far a parameter is from where its round began: at the start as it could hold it."""
    return _rounded(start, p) - widen(p)


def _landed(weight: Array, p: Array) -> Array:
    return cast(_rounded(weight, p), p.dtype)


def _difference(new: Array, p: Array) -> Array:
    return widen(new) - widen(p)


def _step(p: Array, new: Array, u: Array) -> Array:
    """The update that leads from `p` to `new`, in float32 where parameters are in low precision."""
    return _difference(new, p) if is_low(p) else u
