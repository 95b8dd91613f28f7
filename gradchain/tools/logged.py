"""What people watch while training: kept in the state, and cheap."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    AFTER,
    GradientTransformation,
    Leaves,
    MissingParamsError,
    Part,
    cast,
    identity,
    parts,
    relaxed_promotion,
    sharding_in_type,
    state_at,
    transformation,
    widen,
    with_extra_args_support,
    wrapper,
)
from ..core.numerics import abs_sq, safe_increment
from ..core.types import Array, OptState, Params, PyTree, Updates
from ..precision import reset_moments, skip_outliers
from ..transforms import (
    apply_if_finite,
    clip_by_global_norm,
    conditionally_mask,
    groups as by_name,
    monitor,
    snapshot,
    with_global_norm,
)
from ..transforms.group_names import matches_of, named_patterns
from ..tree.paths import paths
from .hyperparams import hyperparams

SKIPPING = {apply_if_finite: "total_notfinite", skip_outliers: "skipped"}
"""They leave out steps, and count them in this field."""
PASSING = (*SKIPPING, conditionally_mask, identity, monitor, reset_moments, snapshot, with_global_norm)
"""They hand on the gradient as it is."""
REST = "default"


class LoggedState(NamedTuple):
    """State of `logged`."""

    inner_state: OptState  # the inner transformation's
    count: Array  # i32[]  steps taken
    clipped: Array  # i32[]  how many of the measured gradients were clipped
    log: dict[str, Array]  # f32[] each, by name: what was measured last

    @property
    def measured(self) -> dict[str, Array]:
        """What `measurements` finds here."""
        return self.log


@transformation
def logged(inner: GradientTransformation, every: int = 100, groups: Sequence[str] | None = None):
    """Keeps what people watch in the state, as one dict that `measurements(state)` gives.

        tx = logged(chain(clip_by_global_norm(1.0), adamw(schedule)))
        if step % 100 == 0: row = jax.device_get(measurements(state))

    The dict has "step"; "learning_rate" (if there are several, "learning_rate/kernel.adamw" by the names of
    `hyperparams`); "grad_norm", "param_norm", "update_norm", "update_ratio" = |update| / |parameters|, each
    also by group, "grad_norm/kernel"; "clipped", the share of clipped gradients among those measured, if
    `clip_by_global_norm` comes first; "skipped", the share of steps left out by `apply_if_finite` or
    `skip_outliers`.

    Args:
        inner: any transformation; its steps are not changed.
        every: measures the first step and each `every`-th after it. That costs about two steps more.
        groups: patterns, as those of `groups`, of parameters with norms of their own; None takes those of
            the `groups` in `inner`, if there are.

    State: `LoggedState(inner_state, count, clipped, log)`; the log holds zeros at first.
    Raises: ValueError if `every` is less than 1; without parameters; for what is no regular expression.

    Example:
        >>> tx, p = gc.logged(gc.sgd(0.5)), jnp.array([3.0, 4.0])
        >>> _, state = tx.step(p, tx.init(p), p)
        >>> print({name: float(x) for name, x in gc.measurements(state).items() if "norm" in name})
        {'grad_norm': 5.0, 'param_norm': 5.0, 'update_norm': 2.5}
    """
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise ValueError(f"logged: every must be an integer of at least 1, received {every!r}.")
    tx = with_extra_args_support(inner)
    patterns = named_patterns("logged", _patterns(inner) if groups is None else groups)
    names = [*patterns, REST] if patterns else []
    clip = _first_clip(inner)
    skipping = [part for part in parts(inner) if part.pair.factory in SKIPPING]

    def init(params: Params) -> LoggedState:
        state = tx.init(params)
        keys = [*_rates(inner, state), *(f"{what}{end}" for what in NORMS for end in _ends(names))]
        keys += ["clipped"] * (clip is not None) + ["skipped"] * bool(skipping)
        count, clipped = jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32)
        log = {key: jnp.zeros([], jnp.float32) for key in ("step", *keys)}
        return LoggedState(state, count, clipped, log)

    def run(
        whole: bool, updates: Updates, state: LoggedState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, LoggedState]:
        if params is None:
            raise MissingParamsError("logged")
        log, before, count = state.log, state.inner_state, safe_increment(state.count)
        due = state.count % every == 0
        norms_of = _norms_by_group(patterns, names, updates, params)

        def measured(what: str, tree: Callable[[], PyTree]) -> dict[str, Array]:
            # A conditional of its own: in one, XLA would store squares that two of them need.
            kept = {end: log[f"{what}{end}"] for end in _ends(names)}
            found = jax.lax.cond(due, lambda: norms_of(tree()), lambda: kept)
            return {f"{what}{end}": x for end, x in found.items()}

        def measure() -> dict[str, Array]:
            new = measured("grad_norm", lambda: updates) | measured("param_norm", lambda: params)
            new |= measured("update_norm", lambda: tx.update(updates, before, params, **extra_args)[0])
            return log | new | _rates(inner, before)

        new = jax.lax.cond(due, measure, lambda: log)
        # The step overwrites what was measured: it has to wait, or XLA copies everything. NaN is not < 0.
        waited = jnp.logical_not(sum(new[f"{what}_norm"] for what in ("grad", "param", "update")) < 0)
        waited = jnp.logical_and(waited, extra_args.get(AFTER, True))
        result, after = tx.run(whole, updates, before, params, **(extra_args | {AFTER: waited}))
        clipped = state.clipped
        shares = {}
        if clip is not None:
            most = hyperparams(clip.pair, state_at(before, clip.place))[f"{CLIP}.max_norm"]
            clips = jnp.logical_and(due, new["grad_norm"] > cast(jnp.asarray(most), jnp.float32))
            clipped = clipped + cast(clips, jnp.int32)
            shares["clipped"] = _share(clipped, state.count // every + 1)
        if skipping:
            skipped = sum(
                getattr(state_at(after, part.place), SKIPPING[part.pair.factory]) for part in skipping
            )
            shares["skipped"] = _share(skipped, count)
        for end in _ends(names):
            size = new[f"param_norm{end}"]
            ratio = new[f"update_norm{end}"] / jnp.where(size > 0, size, 1)
            new[f"update_ratio{end}"] = jnp.where(size > 0, ratio, 0)
        shares["step"] = count
        new |= {k: jnp.where(due, cast(jnp.asarray(v), jnp.float32), log[k]) for k, v in shares.items()}
        return result, LoggedState(after, count, clipped, {key: new[key] for key in log})

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))])


NORMS = ("grad_norm", "param_norm", "update_norm", "update_ratio")
CLIP = clip_by_global_norm.__name__


def _share(part: Any, whole: Any) -> Array:
    return cast(part, jnp.float32) / cast(whole, jnp.float32)


def _ends(names: Sequence[str]) -> list[str]:
    """What the names of norms end with: nothing for all parameters, then the groups."""
    return ["", *(f"/{name}" for name in names)]


def _patterns(tx: GradientTransformation) -> list[str]:
    """The patterns of the `groups` in a transformation."""
    found = next((part.pair for part in parts(tx) if part.pair.factory is by_name), None)
    return [] if found is None else list(found.arguments["rules"])


def _first_clip(tx: GradientTransformation) -> Part | None:
    """The part that clips the gradient itself by its norm."""
    others = (part for part in parts(tx) if part.pair.factory not in PASSING)
    first = next(others, None)
    return first if first is not None and first.pair.factory is clip_by_global_norm else None


def _rates(tx: GradientTransformation, state: OptState) -> dict[str, Array]:
    """The learning rates in use."""
    found = {
        name.removesuffix(".learning_rate"): value
        for name, value in hyperparams(tx, state).items()
        if name.endswith(".learning_rate")
    }
    values = {name: cast(jnp.asarray(value), jnp.float32) for name, value in found.items()}
    if len(values) == 1:
        return {"learning_rate": next(iter(values.values()))}
    return {f"learning_rate/{name}": value for name, value in values.items()}


def _norms_by_group(
    patterns: Any, names: Sequence[str], updates: Updates, params: Params
) -> Callable[[PyTree], dict[str, Array]]:
    """A function from a tree like the updates to its norms, in all and by group."""
    leaves = Leaves("logged", updates, params)
    group_of: list[str] = []
    if names:
        every = leaves.all_of("names", paths(updates))
        shown = [every[i] for i in leaves.present]
        found = matches_of(patterns, shown)
        group_of = [next(iter(found[name]), REST) for name in shown]

    def norms(tree: PyTree) -> dict[str, Array]:
        column = leaves.all_of("measured tree", tree)
        squares = [_square_sum(column[i]) for i in leaves.present]
        sums = {"": squares} | {
            f"/{name}": [x for x, group in zip(squares, group_of, strict=True) if group == name]
            for name in names
        }
        return {end: jnp.sqrt(sum(xs, start=jnp.zeros([], jnp.float32))) for end, xs in sums.items()}

    return norms


def _square_sum(x: Any) -> Array:
    """The sum of |x|^2, by rows: in one sum XLA's CPU would use one core."""
    with relaxed_promotion():
        wide = widen(jnp.asarray(x))
        if wide.ndim < 2 or jnp.iscomplexobj(wide) or sharding_in_type(wide) is not None:
            total = jnp.sum(abs_sq(wide))
        else:
            rows = wide.reshape(-1, wide.shape[-1])
            total = jnp.sum(jnp.einsum("ij,ij->i", rows, rows))
    return cast(total, jnp.float32)
