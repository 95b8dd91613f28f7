"""Steps left out because their loss or gradient is not like the last ones."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from ..core import (
    POSITIVE,
    GradientTransformation,
    cast,
    check_updates,
    relaxed_promotion,
    run_if,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.numerics import ratio, safe_increment, sqrt
from ..core.types import Array, Numeric, OptState, Params, Updates
from ..tree.norm import norm

NOISE = 1e-6
"""A standard deviation below this share of the mean is rounding."""


class SkipOutliersState(NamedTuple):
    """State of `skip_outliers`."""

    inner_state: OptState  # the inner transformation's
    losses: Array  # f32[window]  the last losses, in a ring
    norms: Array  # f32[window]  the last global norms of the gradient, in a ring
    losses_seen: Array  # i32[]  losses recorded so far
    norms_seen: Array  # i32[]  norms recorded so far
    skipped: Array  # i32[]  steps left out so far
    outlier: Array  # bool[]  whether the last step was left out
    loss_z: Array  # f32[]  standard deviations of the last loss above the mean; 0 before there is one
    norm_z: Array  # f32[]  the same of the last norm

    @property
    def measured(self) -> dict[str, Array]:
        """What `measurements` finds here."""
        return {
            "outliers_skipped": self.skipped,
            "outlier": self.outlier,
            "loss_z": self.loss_z,
            "norm_z": self.norm_z,
        }


@transformation(threshold=POSITIVE)
def skip_outliers(
    inner: GradientTransformation,
    window: int = 128,
    threshold: Numeric = 6.0,
    min_history: int | None = None,
    use_loss: bool = True,
):
    """Leaves out steps whose loss or gradient norm is far above the last ones; losses come as `value=loss`.

    Left out is x > mean + threshold std, of the last `window` losses or norms before x (std: n - 1). The
    parameters and the state of `inner`, its counts too, stay as they are. What is not finite is always left
    out and not recorded. A finite outlier is: a level that lasts is accepted after about
    window / threshold^2 steps.

        tx = skip_outliers(adamw(3e-4));  tx.update(grads, state, params, value=loss)

    Args:
        inner: any transformation.
        window: how many steps to look back, at least 2. On several devices give the mean loss of all.
        threshold: in standard deviations; OLMo takes 6.
        min_history: how many values to see before any is compared, from 2 to `window`; None: half of it.
        use_loss: False looks at norms alone, as does a call without `value`.

    State: `SkipOutliersState(inner_state, losses, norms, losses_seen, norms_seen, skipped, outlier, loss_z,
        norm_z)`; `measured`: outliers_skipped, outlier, loss_z, norm_z (infinite for what is not finite).
        Inside `with_global_norm`, the norm is the wrapper's.
    Memory: 2 x window numbers.
    Raises: ValueError for a window or history out of range, or for a value that is not one number.
    Reference: Allen Institute for AI, 2024, OLMo-core: SkipStepOptimizer.

    Example:
        >>> tx, p = gc.skip_outliers(gc.sgd(1.0), min_history=2, use_loss=False), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -1.5, -100.0):  # the last step is left out
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist())
        [1.0]
        [2.5]
        [2.5]
    """
    if not isinstance(window, int) or window < 2:
        raise ValueError(f"skip_outliers: window must be an integer of at least 2, received {window!r}.")
    least = max(window // 2, 2) if min_history is None else min_history
    if not 2 <= least <= window:
        raise ValueError(
            f"skip_outliers: min_history must be from 2 to the window of {window}, received {least!r}."
        )
    tx = with_extra_args_support(inner)

    def init(params: Params) -> SkipOutliersState:
        losses, norms = jnp.zeros([window], jnp.float32), jnp.zeros([window], jnp.float32)
        losses_seen, norms_seen, skipped = (jnp.zeros([], jnp.int32) for _ in range(3))
        loss_z, norm_z = jnp.zeros([], jnp.float32), jnp.zeros([], jnp.float32)
        rings = (tx.init(params), losses, norms, losses_seen, norms_seen)
        return SkipOutliersState(*rings, skipped, jnp.array(False), loss_z, norm_z)

    def run(
        whole: bool, updates: Updates, state: SkipOutliersState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, SkipOutliersState]:
        check_updates("skip_outliers", updates, params)
        given, loss = extra_args.get("global_norm"), extra_args.get("value") if use_loss else None
        size = _float32("global_norm", norm(updates) if given is None else given)
        scores = {"norm": _score(size, state.norms, state.norms_seen, least)}
        values = {"norm": size}
        if loss is not None:
            values["loss"] = _float32("value", loss)
            scores["loss"] = _score(values["loss"], state.losses, state.losses_seen, least)
        finite = jnp.all(jnp.isfinite(jnp.stack(list(values.values()))))
        apply = finite & jnp.all(jnp.stack(list(scores.values())) <= threshold)
        result, inner_state = run_if(apply, tx, whole, updates, state.inner_state, params, extra_args)
        norms, norms_seen = _recorded(size, state.norms, state.norms_seen, finite)
        state = state._replace(inner_state=inner_state, norms=norms, norms_seen=norms_seen)
        if loss is not None:
            losses, seen = _recorded(values["loss"], state.losses, state.losses_seen, finite)
            state = state._replace(losses=losses, losses_seen=seen)
        return result, state._replace(
            skipped=jnp.where(apply, state.skipped, safe_increment(state.skipped)),
            outlier=~apply,
            loss_z=scores.get("loss", jnp.zeros_like(state.loss_z)),
            norm_z=scores["norm"],
        )

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))])


def _float32(what: str, x: Any) -> Array:
    if jnp.size(x) != 1:
        raise ValueError(
            f"skip_outliers: {what} must be one number, received shape {jnp.shape(x)}. Give the mean."
        )
    return cast(jnp.asarray(x), jnp.float32).reshape(())


def _score(x: Array, ring: Array, seen: Array, least: int) -> Array:
    """Standard deviations of a value above the mean of those before it; infinite if it is not finite."""
    window = ring.shape[0]
    with relaxed_promotion():
        n = jnp.minimum(seen, window)
        kept = jnp.arange(window, dtype=n.dtype) < n
        mean = jnp.sum(jnp.where(kept, ring / jnp.maximum(n, 1), 0))
        # Squares of deviations in units of the largest: those of a spike would overflow.
        deviations = jnp.where(kept, ring - mean, 0)
        unit = jnp.max(jnp.abs(deviations))
        std = unit * sqrt(jnp.sum(ratio(deviations, unit) ** 2) / jnp.maximum(n - 1, 1))
        z = ratio(x - mean, jnp.maximum(std, NOISE * jnp.abs(mean)))
        return jnp.where(jnp.isfinite(x), jnp.where(n >= least, z, 0), jnp.inf)


def _recorded(x: Array, ring: Array, seen: Array, finite: Array) -> tuple[Array, Array]:
    """The ring with the value in place of the oldest, and the count."""
    window = ring.shape[0]
    here = (jnp.arange(window, dtype=seen.dtype) == seen % window) & finite
    return jnp.where(here, x, ring), jnp.where(finite, safe_increment(seen), seen)
