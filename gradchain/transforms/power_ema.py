"""Averages of the parameters that grow with the run, of several lengths at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core import (
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
from ..core.numerics import safe_increment, zeros_like
from ..core.types import Array, Count, DTypeLike, Params, Updates
from ..tree.placeholder import is_placeholder
from .masking import MaskedNode

WIDEST = 12**-0.5
"""The relative width of the mean of all steps, whose power is 0."""


class PowerEmaParamsState(NamedTuple):
    """State of `power_ema_params`."""

    count: Count  # i32[]  steps taken
    sigma_rel: Array  # f32[n]  widths of the averages, in parts of the run so far
    averages: Params  # like params with a first axis of n, at least float32, or accumulator_dtype

    def eval_params(self, params: Params) -> Params:
        """The first of the averages; the parameters themselves before the first step."""
        return self.at(0, params)

    def at(self, index: int, params: Params) -> Params:
        """One of the averages, in the dtypes of the parameters."""

        def one(average: Any, p: Any) -> Any:
            if isinstance(average, MaskedNode):
                return p
            with relaxed_promotion():
                return cast(jnp.where(self.count > 0, widen(average[index]), widen(p)), dtype_of(p))

        return jax.tree.map(one, self.averages, params, is_leaf=lambda x: isinstance(x, MaskedNode))

    def as_if_always(self, params: Params) -> "PowerEmaParamsState":
        """The state if the parameters had always been these: what `reset` takes."""

        def same(averages: Any, p: Any) -> Any:
            if isinstance(averages, MaskedNode):
                return averages
            return jnp.broadcast_to(cast(p, dtype_of(averages)), averages.shape)

        is_leaf = lambda x: isinstance(x, MaskedNode)  # noqa: E731
        return self._replace(averages=jax.tree.map(same, self.averages, params, is_leaf=is_leaf))


def power_of(name: str, sigma_rel: float) -> float:
    """The power g with sqrt((g + 1) / ((g + 2)^2 (g + 3))) = sigma_rel; `name` is for errors."""
    if not isinstance(sigma_rel, (int, float)) or not 0 < sigma_rel <= WIDEST:
        raise ValueError(
            f"{name}: sigma_rel must be in (0, 1 / sqrt(12)], the width of the mean of all steps, received "
            f"{sigma_rel!r}."
        )
    inverse = float(sigma_rel) ** -2
    return float(max(np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse]).real))


@transformation
def power_ema_params(
    sigma_rel: Sequence[float] = (0.05, 0.1), *, accumulator_dtype: DTypeLike | None = None
):
    """Keeps averages of the parameters whose lengths are parts of the run so far; updates pass unchanged.

    a_t = b_t a_{t-1} + (1 - b_t) (p + u) with b_t = (1 - 1 / t)^(g + 1): the weight of step i is
    (i / t)^(g + 1) - ((i - 1) / t)^(g + 1), a power g of time. The start is forgotten. Put it last in a
    chain. `eval_params` gives the first average. Store `ema_snapshots(state, params)` now and then, and
    `posthoc_ema` makes an average of any other length of them after the run.

    Args:
        sigma_rel: the width of each profile as a part of the run, in (0, 1 / sqrt(12)]: 0.05 and 0.1 have
            the powers 16.97 and 6.94.
        accumulator_dtype: dtype of the averages, by default the parameter's, but at least float32.

    State: `PowerEmaParamsState(count, sigma_rel, averages)`. Memory: len(sigma_rel) x the parameters.
    Raises: ValueError for no width, or one out of range; if `update` gets no parameters.
    Reference: Karras et al., 2023, Analyzing and Improving the Training Dynamics of Diffusion Models,
        arXiv:2312.02696.

    Example:
        >>> tx, p = gc.chain(gc.sgd(1.0), gc.power_ema_params(0.2)), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -1.0):  # to 1, then to 2
        ...     p, state = tx.step(jnp.array([g]), state, p)
        >>> [round(x, 2) for x in gc.eval_params(state, p).tolist()]  # nearly 2: the start is forgotten
        [1.86]
    """
    widths = [sigma_rel] if isinstance(sigma_rel, (int, float)) else list(sigma_rel)
    if not widths:
        raise ValueError(
            f"power_ema_params: sigma_rel must have at least one width, received {sigma_rel!r}."
        )
    exponents = np.asarray([power_of("power_ema_params", s) + 1 for s in widths])

    def init(params: Params) -> PowerEmaParamsState:
        def zeros(p: Any) -> Array:
            return jnp.stack([zeros_like(p, accumulator_dtype or compute_dtype(dtype_of(p)))] * len(widths))

        averages = params if is_placeholder(params) else jax.tree.map(zeros, params)
        return PowerEmaParamsState(jnp.zeros([], jnp.int32), jnp.asarray(widths, jnp.float32), averages)

    def run(
        whole: bool,
        updates: Updates,
        state: PowerEmaParamsState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[Any, PowerEmaParamsState]:
        if params is None:
            raise MissingParamsError("power_ema_params")
        leaves, new = Leaves("power_ema_params", updates, params), apply_updates(params, updates)
        count = safe_increment(state.count)

        def move(averages: Array, p: Array) -> Array:
            p = widen(p)
            kind = compute_dtype(jnp.real(p).dtype)
            powers = jnp.asarray(exponents, kind)
            shares = -jnp.expm1(powers * jnp.log1p(-1 / jnp.asarray(count, kind)))  # 1 - b_t
            shares = shares.reshape([-1] + [1] * jnp.ndim(p))
            return cast(widen(averages) + shares * (p[None] - widen(averages)), dtype_of(averages))

        with relaxed_promotion():
            kept = leaves.of("averages", state.averages, same_shape=False)
            averages = each(move, kept, leaves.of("new parameters", new))
        return new if whole else updates, state._replace(
            count=count, averages=leaves.put(averages, state.averages)
        )

    return wrapper(init, run)
