"""Measurements of the updates at any place in a chain: norms, ratios, any function."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    MissingParamsError,
    cast,
    dtype_of,
    numerics,
    relaxed_promotion,
    transformation,
    widen,
    with_extra_args_support,
)
from ..core.numerics import safe_increment, zeros_like
from ..core.types import Array, ArrayTree, DTypeLike, EmptyState, Numeric, OptState, Params, PyTree, Updates
from ..tree.norm import norm
from .masking import is_tree_fn, keep
from .momentum import EmaState

Measure = Callable[[Updates], ArrayTree]


class SnapshotState(NamedTuple):
    """State of `snapshot`."""

    measurement: dict[str, ArrayTree]  # by name: what was measured at the last update

    @property
    def measured(self) -> dict[str, ArrayTree]:
        """What `measurements` finds here."""
        return self.measurement


class MonitorState(NamedTuple):
    """State of `monitor`."""

    measurements: dict[str, ArrayTree]  # by name: what was measured at the last update
    measure_states: tuple[OptState, ...]  # one for each measure

    @property
    def measured(self) -> dict[str, ArrayTree]:
        """What `measurements` finds here."""
        return self.measurements


@transformation
def snapshot(measure_name: str, measure: Measure):
    """Keeps a measure of the updates at this place in a chain; the updates pass unchanged.

    Args: measure_name, the key of the measurement; measure, a function of the updates.
    State: `SnapshotState(measurement)`; `init` measures the parameters, to get the shapes.

    Example:
        >>> tx, g = gc.snapshot("largest", lambda u: jnp.max(jnp.abs(u))), jnp.array([3.0, -4.0])
        >>> _, state = tx.update(g, tx.init(g))
        >>> float(state.measurement["largest"])
        4.0
    """

    def init(params: Params) -> SnapshotState:
        return SnapshotState({measure_name: _blank(measure, params)})

    def update(
        updates: Updates, state: SnapshotState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, SnapshotState]:
        return updates, SnapshotState({measure_name: measure(updates)})

    return GradientTransformationExtraArgs(init, update)


def _blank(measure: Callable[..., ArrayTree], *args: PyTree) -> ArrayTree:
    """The measurement for `init`: of the parameters, or zeros if they are only shapes."""
    if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(args)):
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(measure, *args))
    return measure(*args)


@transformation
def monitor(measures: Mapping[str, GradientTransformation | Measure]):
    """Keeps measures of the updates at this place in a chain; the updates pass unchanged.

    `gradchain.tools.measurements(state)` returns all measurements of a chain.

    Args:
        measures: by name, functions of the updates, or transformations whose updates are the
            measurement (`measure_with_ema`, `measure_norm`, `measure_update_ratio`, ...).

    State: `MonitorState(measurements, measure_states)`. `init` fills in zeros, so that the
        structure of the state never changes (Optax's is empty before the first update).

    Example:
        >>> before, after = (gc.monitor({name: gc.measure_norm()}) for name in ("before", "after"))
        >>> tx, g = gc.chain(before, gc.clip(1.0), after), jnp.array([3.0, 0.0])
        >>> _, state = tx.update(g, tx.init(g), g)
        >>> print({name: float(x) for name, x in gc.measurements(state).items()})
        {'before': 3.0, 'after': 1.0}
    """
    txs = {name: _as_pair(measure) for name, measure in measures.items()}

    def init(params: Params) -> MonitorState:
        states = tuple(tx.init(params) for tx in txs.values())

        def first(params: Params) -> dict[str, ArrayTree]:
            return {
                name: tx.update(params, state, params)[0]
                for (name, tx), state in zip(txs.items(), states, strict=True)
            }

        shapes = jax.eval_shape(first, params)
        return MonitorState(jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes), states)

    def update(
        updates: Updates, state: MonitorState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MonitorState]:
        measurements, states = {}, []
        for (name, tx), measure_state in zip(txs.items(), state.measure_states, strict=True):
            measurements[name], new = tx.update(updates, measure_state, params, **extra_args)
            states.append(new)
        return updates, MonitorState(measurements, tuple(states))

    inside = [
        (tx, ("measure_states", i)) for i, tx in enumerate(measures.values()) if isinstance(tx, tuple)
    ]
    return GradientTransformationExtraArgs(init, update, inside=inside)


def _as_pair(measure: GradientTransformation | Measure) -> GradientTransformationExtraArgs:
    if isinstance(measure, tuple):
        return with_extra_args_support(measure)  # type: ignore[arg-type]
    return _measure(lambda updates, params, extra_args: measure(updates))


def _measure(
    measure: Callable[[Updates, Params | None, dict[str, Any]], ArrayTree],
) -> GradientTransformationExtraArgs:
    """A pair without state whose updates are a measurement."""

    def update(
        updates: Updates, state: EmptyState, params: Params | None = None, **extra_args: Any
    ) -> tuple[ArrayTree, EmptyState]:
        return measure(updates, params, extra_args), state

    return GradientTransformationExtraArgs(lambda params: EmptyState(), update)


@transformation
def measure_with_ema(
    measure: Measure, decay: Numeric, debias: bool = True, accumulator_dtype: DTypeLike | None = None
):
    """A measure, for `monitor`, averaged over the steps: see `ema`.

    Args:
        measure: a function of the updates.
        decay: decay of the average, in [0, 1].
        debias: True divides by 1 - decay^n, which removes the bias towards 0.
        accumulator_dtype: dtype of the average, by default the measure's.

    State: a chain's: `(EmptyState(), EmaState(count, ema))`.

    Example:
        >>> tx = gc.monitor({"largest": gc.measure_with_ema(lambda u: jnp.max(u), 0.5)})
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (1.0, 4.0):  # 1, then (1 + 2 * 4) / 3
        ...     _, state = tx.update(jnp.array([g]), state)
        ...     print(float(gc.measurements(state)["largest"]))
        1.0
        3.0
    """

    def init(params: Params) -> tuple[EmptyState, EmaState]:
        shapes = jax.eval_shape(measure, params)
        blank = jax.tree.map(lambda x: zeros_like(x, accumulator_dtype), shapes)
        return EmptyState(), EmaState(jnp.zeros([], jnp.int32), blank)

    def update(
        updates: Updates,
        state: tuple[EmptyState, EmaState],
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[ArrayTree, tuple[EmptyState, EmaState]]:
        count = safe_increment(state[1].count)
        measured = measure(updates)

        def average(x: Array, old: Array) -> Array:
            return cast(numerics.ema(widen(x), widen(old), decay), dtype_of(old))

        def show(m: Array, x: Array) -> Array:
            return cast(numerics.debias(widen(m), decay, count) if debias else m, dtype_of(x))

        with relaxed_promotion():
            kept = jax.tree.map(average, measured, state[1].ema)
            shown = jax.tree.map(show, kept, measured)
        return shown, (EmptyState(), EmaState(count, kept))

    return GradientTransformationExtraArgs(init, update)


@transformation
def measure_norm():
    """A measure, for `monitor`: the global 2-norm of the updates, f32[].

    Inside `with_global_norm` it is the norm that the wrapper has computed, of the gradient before any
    change. State: `EmptyState`.

    Example:
        >>> tx, g = gc.monitor({"norm": gc.measure_norm()}), jnp.array([3.0, 4.0])
        >>> _, state = tx.update(g, tx.init(g), g)
        >>> float(gc.measurements(state)["norm"])
        5.0
    """

    def global_norm(updates: Updates, params: Params | None, extra_args: dict[str, Any]) -> Array:
        return extra_args["global_norm"] if "global_norm" in extra_args else norm(updates)

    return _measure(global_norm)


@transformation
def measure_update_ratio():
    """A measure, for `monitor`: |updates| / |parameters|, f32[], with 0 for zero parameters.

    At the end of a chain, about 1e-3 is a usual value. State: `EmptyState`.
    Raises: ValueError if `update` gets no parameters.

    Example:
        >>> ratio, p = gc.monitor({"ratio": gc.measure_update_ratio()}), jnp.array([3.0, 4.0])
        >>> tx = gc.chain(gc.sgd(0.5), ratio)
        >>> _, state = tx.update(p, tx.init(p), p)
        >>> float(gc.measurements(state)["ratio"])
        0.5
    """

    def ratio(updates: Updates, params: Params | None, extra_args: dict[str, Any]) -> Array:
        if params is None:
            raise MissingParamsError("measure_update_ratio")
        size = norm(params)
        return jnp.where(size > 0, norm(updates) / jnp.where(size > 0, size, 1), 0)

    return _measure(ratio)


@transformation
def measure_group_norms(param_labels: PyTree | Callable[[PyTree], PyTree]):
    """A measure, for `monitor`: the 2-norm of the updates of each group, a dict of f32[] by label.

    Args: param_labels, a tree of labels like the updates or a prefix of them, or a function from
        the updates to one.
    State: `EmptyState`.

    Example:
        >>> tx = gc.monitor({"norms": gc.measure_group_norms({"a": "one", "b": "other"})})
        >>> g = {"a": jnp.array([3.0, 4.0]), "b": jnp.array([1.0])}
        >>> _, state = tx.update(g, tx.init(g), g)
        >>> print({label: float(x) for label, x in gc.measurements(state)["norms"].items()})
        {'one': 5.0, 'other': 1.0}
    """

    def norms(updates: Updates, params: Params | None, extra_args: dict[str, Any]) -> dict[Any, Array]:
        labels = param_labels(updates) if is_tree_fn(param_labels) else param_labels
        groups = sorted(set(jax.tree.leaves(labels)))
        masks = {g: jax.tree.map(lambda x, g=g: x == g, labels) for g in groups}
        return {g: norm(keep("measure_group_norms", masks[g], updates)) for g in groups}

    return _measure(norms)
