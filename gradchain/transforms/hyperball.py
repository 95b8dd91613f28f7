"""Hyperball: any optimizer's direction, with steps as long as the weights ask, which keep their length."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    LeafError,
    Leaves,
    MissingParamsError,
    apply_updates,
    cast,
    dtype_of,
    dtype_of_step,
    has_gradient,
    nearest,
    relaxed_promotion,
    transformation,
    widen,
    with_extra_args_support,
    wrapper,
)
from ..core.lists import each_with
from ..core.numerics import abs_sq, array_of, ratio, safe_increment, sqrt
from ..core.types import Array, Count, MaskOrFn, OptState, Params, PyTree, ScalarOrSchedule, Updates
from ..tree.placeholder import is_placeholder
from .choices import choices, of_each

KEEPS = ("current", "initial")


class HyperballState(NamedTuple):
    """State of `hyperball`."""

    count: Count  # i32[]  steps taken
    inner_state: OptState  # the inner optimizer's
    norms: Params | None  # real, at least float32; norm of each matrix; None unless keep="initial"


def _norm(batch: int, x: Array) -> Array:
    """The norm of each array of a stack, with axes of length 1 in the place of those summed over."""
    return sqrt(jnp.sum(abs_sq(x), axis=tuple(range(batch, x.ndim)), keepdims=True))


@transformation
def hyperball(
    inner: GradientTransformation,
    learning_rate: ScalarOrSchedule,
    mask: MaskOrFn = None,
    *,
    keep: Literal["current", "initial"] = "current",
    batch_axes: int | PyTree = 0,
):
    """Steps on a sphere: the direction of any optimizer, with weights that keep their norm.

    q = p + learning_rate |p| s / |s|;  p = q |p| / |q|, with the step s of `inner`, one matrix at a time.
    learning_rate is about the angle of a step, in radians. The length stays, so no weight decay is needed.

        hyperball(muon(1.0, adam_learning_rate=3e-4), 0.018)

    Args:
        inner: an optimizer. Of its steps only the direction counts, so any learning rate but 0 will do.
            Where the mask is False it takes its own steps: its learning rate counts there.
        learning_rate: 0.018 is usual; about the square root of learning rate times weight decay elsewhere.
        mask: which arrays keep their norm: a tree of booleans, a function from the parameters to one, or a
            dict of patterns of names; by default those with two axes or more.
        keep: "current" keeps the norm from step to step, "initial" returns to that at `init`.
        batch_axes: how many first axes count matrices, for stacked layers: a number, or one for each
            parameter, given as a mask is.

    `tx.step` keeps the norm up to one rounding of the parameter; `update` gives the difference. Zero
    matrices stay zero: give them a start.
    State: `HyperballState(count, inner_state, norms)`. Memory: the inner optimizer's.
    Raises: ValueError without parameters, or for an array with fewer axes than `batch_axes` and one.
    Reference: Wen et al., 2025, Fantastic Pretraining Optimizers and Where to Find Them, arXiv:2509.02046.

    Example:
        >>> tx, p = gc.hyperball(gc.sgd(1.0), 0.1), jnp.array([[3.0, 0.0], [0.0, 4.0]])
        >>> p, _ = tx.step(jnp.ones((2, 2)), tx.init(p), p)
        >>> round(float(jnp.linalg.norm(p)), 3)  # as before
        5.0
    """
    if keep not in KEEPS:
        raise ValueError(
            f"hyperball: keep must be 'current' or 'initial', received {keep!r}.{nearest(str(keep), KEEPS)}"
        )
    tx = with_extra_args_support(inner)

    def batches(params: Params) -> PyTree:
        """For each leaf, how many axes count matrices; None if it is no matrix."""
        kept = choices("hyperball", "mask", _matrices if mask is None else mask, params, False)
        axes = choices("hyperball", "batch_axes", batch_axes, params, 0)
        return of_each("hyperball", _batch, params, kept, axes)

    def init(params: Params) -> HyperballState:
        norms = None
        if keep == "initial" and is_placeholder(params):
            norms = params
        elif keep == "initial":
            norms = of_each("hyperball", _kept_norm, params, batches(params))
        return HyperballState(jnp.zeros([], jnp.int32), tx.init(params), norms)

    def run(
        whole: bool,
        updates: Updates,
        state: HyperballState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[Any, HyperballState]:
        if params is None:
            raise MissingParamsError("hyperball")
        leaves = Leaves("hyperball", updates, params)
        steps, inner_state = tx.update(updates, state.inner_state, params, **extra_args)
        with relaxed_promotion():
            rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        every = leaves.all_of("matrices", batches(params))
        settings = [every[i] for i in leaves.present]
        norms = [None] * len(settings)
        if state.norms is not None:
            norms = leaves.of("state's norms", state.norms, same_shape=False)

        def move(batch: int | None, g: Array, s: Array, p: Array, kept: Array | None, rate: Any) -> Array:
            if batch is None:
                return apply_updates(p, s) if whole else s
            with relaxed_promotion():
                new = _on_sphere(batch, widen(p), widen(s), rate, kept)
                return cast(new if whole else new - widen(p), dtype_of(p) if whole else dtype_of_step(g, p))

        columns = leaves.gs, leaves.of("step of the optimizer", steps), leaves.ps, norms
        moved = each_with(move, settings, *columns, [rate] * len(settings))
        result = leaves.put(moved, params if whole else steps)
        return result, HyperballState(safe_increment(state.count), inner_state, state.norms)

    return wrapper(init, run, inside=[(inner, ("inner_state",))])


def _matrices(params: Params) -> PyTree:
    return jax.tree.map(lambda p: jnp.ndim(p) >= 2, params)


def _batch(p: Any, keeps: Any, batch: Any) -> int | None:
    """How many first axes of a parameter count matrices; None if it is no matrix."""
    if not (keeps and has_gradient(p)):
        return None
    if jnp.ndim(p) <= batch:
        raise LeafError(
            "hyperball",
            f"{{leaf}} has shape {jnp.shape(p)}; expected more axes than the {batch} of batch_axes. Leave "
            "it out by mask, or give batch_axes for each parameter.",
        )
    return int(batch)


def _kept_norm(p: Any, batch: int | None) -> Any:
    """What is kept of a parameter's norm: one number for each matrix, and 0 of what is no matrix."""
    if not has_gradient(p):
        return None
    x = widen(array_of(p))
    return jnp.zeros((), jnp.real(x).dtype) if batch is None else _norm(batch, x).reshape(x.shape[:batch])


def _on_sphere(batch: int, p: Array, s: Array, rate: Any, kept: Array | None) -> Array:
    """The matrices moved along `s` by an angle, at the norms that they had, or that are kept."""
    size = _norm(batch, p) if kept is None else kept.reshape(kept.shape + (1,) * (p.ndim - batch))
    moved = p + rate * size * ratio(s, _norm(batch, s))
    return moved * ratio(size, _norm(batch, moved))
