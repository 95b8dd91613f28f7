"""AggMo: momentum at several time scales."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ..core import chain, leafwise, transformation
from ..core.numerics import zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, MaskOrFn, Params, ScalarOrSchedule
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decoupled


class ScaleByAggmoState(NamedTuple):
    """State of `scale_by_aggmo`."""

    traces: Params  # like params with a first axis of len(betas), or accumulator_dtype; decaying sums


@transformation
def scale_by_aggmo(betas: Sequence[float] = (0.0, 0.9, 0.99), accumulator_dtype: DTypeLike | None = None):
    """The mean of several momenta: v_i = beta_i v_i + g;  u = mean over i of v_i.

    Slow momenta carry along valleys, fast ones damp their oscillations.

    Args:
        betas: the decays, each in [0, 1); 1 - 0.1^i for i = 0, 1, 2 by default.
        accumulator_dtype: dtype of the sums, by default the parameter's.

    State: `ScaleByAggmoState(traces)`. Memory: len(betas) x the parameters.
    Raises: ValueError for no decay, or one out of range.
    Reference: Lucas, Sun, Zemel and Grosse, 2018, arXiv:1804.00325.

    Example:
        >>> tx, p = gc.scale_by_aggmo(betas=(0.0, 0.5)), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, 0.0], [0.0, 4.0]):  # (0 + 2) / 2 remain of the 4
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print(u.tolist())
        [4.0, 0.0]
        [1.0, 4.0]
    """
    if not betas or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(
            f"scale_by_aggmo: betas must be numbers in [0, 1), at least one, received {betas!r}."
        )

    def init(p: Array) -> ScaleByAggmoState:
        return ScaleByAggmoState(traces=jnp.stack([zeros_like(p, accumulator_dtype)] * len(betas)))

    def update(g: Array, s: ScaleByAggmoState, p: Array | None) -> tuple[Array, ScaleByAggmoState]:
        traces = jnp.stack([beta * v + g for beta, v in zip(betas, s.traces, strict=True)])
        return traces.mean(0), s._replace(traces=traces)

    return leafwise(init, update, like_params=False)


@transformation
def aggmo(
    learning_rate: ScalarOrSchedule,
    betas: Sequence[float] = (0.0, 0.9, 0.99),
    accumulator_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """AggMo: v_i = beta_i v_i + g;  p = p - learning_rate (mean over i of v_i + weight_decay p).

    Args:
        betas, accumulator_dtype: see `scale_by_aggmo`.

    State: a chain's: `ScaleByAggmoState`, the learning rate's. Memory: len(betas) x the parameters.
    Reference: Lucas, Sun, Zemel and Grosse, 2018, Aggregated Momentum: Stability Through Passive Damping,
        arXiv:1804.00325.

    Example:
        >>> tx, p = gc.aggmo(1.0, betas=(0.0, 0.5)), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -1.0):  # the means of 1 and 1, and of 1 and 1.5
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist())
        [1.0]
        [2.25]
    """
    return chain(
        scale_by_aggmo(betas, accumulator_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
