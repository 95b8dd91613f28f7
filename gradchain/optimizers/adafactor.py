"""Adafactor: Adam's scaling with the memory of a row and a column."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core import FINITE, NON_NEGATIVE, NON_NEGATIVE_OR_INF, UNIT, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, ema, sqrt
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Numeric,
    Params,
    ScalarOrSchedule,
)
from ..transforms.block_clipping import clip_by_block_rms
from ..transforms.decay import add_decayed_weights, is_zero
from ..transforms.momentum import ema as moving_average
from ..transforms.param_block import scale_by_param_block_rms
from ..transforms.scaling import scale, scale_by_learning_rate


class FactoredState(NamedTuple):
    """State of `scale_by_factored_rms`. Each array has a row and a column, or v; unused fields are [1]."""

    count: Count  # i32[]  steps taken, from step_offset
    v_row: Params  # real, at least float32; mean squares over the largest dimension
    v_col: Params  # real, at least float32; mean squares over the second largest dimension
    v: Params  # like |params|, at least float32; mean squares of arrays that are not factored


def _power_decay(step: Array, exponent: Numeric) -> Array:
    return 1 - jnp.asarray(step + 1, jax.dtypes.canonicalize_dtype(float)) ** -exponent


def _two_largest(shape: tuple[int, ...], factored: bool, min_size: int) -> tuple[int, int] | None:
    """The largest and the second largest dimension; None if the array is not factored."""
    if not factored or len(shape) < 2:
        return None
    *_, second, first = (int(i) for i in np.argsort(shape))
    return (first, second) if shape[second] >= min_size else None


def _inverse_root(v: Array) -> Array:
    # Not a power or rsqrt: their derivatives at v = 1e-30, the default epsilon, overflow in float32.
    return jnp.where(v > 0, 1 / sqrt(jnp.where(v > 0, v, 1)), 0)


@transformation(decay_rate=FINITE, step_offset=NON_NEGATIVE)
def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Hyperparameter = 0.8,
    step_offset: Numeric = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: Hyperparameter = 1e-30,
    decay_rate_fn: Callable[[Array, Numeric], Array] = _power_decay,
):
    """Rescales by the root of mean squares, kept as a row and a column for each matrix.

    b = 1 - t^{-decay_rate};  R = b R + (1 - b) mean_columns(|g|^2 + epsilon), C likewise;
    u = g / sqrt(R C / mean(R)). Vectors and small arrays keep v = b v + (1 - b) (|g|^2 + epsilon).

    Args:
        factored: False keeps the mean squares of all arrays in full.
        decay_rate: the exponent, usually in [0, 1].
        step_offset: first value of `count`, with t = count - step_offset + 1. So t begins at 1, also in
            a run that continues from a state of this many steps.
        min_dim_size_to_factor: an array is factored if its second largest dimension is at least this.
        epsilon: added to squares, at least 0.
        decay_rate_fn: b as a function of (count - step_offset, decay_rate).

    State: `FactoredState(count, v_row, v_col, v)`. Memory: a row and a column for each matrix.
    Reference: Shazeer and Stern, 2018, arXiv:1804.04235.

    Example:
        >>> tx, p = gc.scale_by_factored_rms(min_dim_size_to_factor=2), jnp.zeros((3, 4))
        >>> state = tx.init(p)  # a row and a column in place of 3 * 4 squares
        >>> print(state.v_row.shape, state.v_col.shape)
        (3,) (4,)
    """

    def init(p: Array) -> FactoredState:
        v = accumulator_like(p)
        unused = [jnp.zeros((1,), v.dtype) for _ in range(2)]
        dims = _two_largest(v.shape, factored, min_dim_size_to_factor)
        if dims is None:
            return FactoredState(
                count=jnp.asarray(step_offset, jnp.int32), v_row=unused[0], v_col=unused[1], v=v
            )
        # Sums of v, not new zeros: sums keep the sharding of v.
        return FactoredState(
            count=jnp.asarray(step_offset, jnp.int32),
            v_row=v.sum(dims[0]),
            v_col=v.sum(dims[1]),
            v=unused[0],
        )

    def update(g: Array, s: FactoredState, p: Array | None) -> tuple[Array, FactoredState]:
        b = decay_rate_fn(jnp.maximum(s.count - 1 - step_offset, 0), decay_rate)
        square = abs_sq(g) + epsilon
        dims = _two_largest(g.shape, factored, min_dim_size_to_factor)
        if dims is None:
            v = ema(square, s.v, b)
            return g * _inverse_root(v), s._replace(v=v)
        first, second = dims
        v_row, v_col = ema(square.mean(first), s.v_row, b), ema(square.mean(second), s.v_col, b)
        mean = v_row.mean(second - (second > first), keepdims=True)
        row = jnp.expand_dims(_inverse_root(v_row / jnp.where(mean > 0, mean, 1)), first)
        u = g * row * jnp.expand_dims(_inverse_root(v_col), second)
        return u, s._replace(v_row=v_row, v_col=v_col)

    return leafwise(init, update, like_params=False)


def _product(x: ScalarOrSchedule, y: ScalarOrSchedule) -> ScalarOrSchedule:
    """The product of two numbers or schedules."""
    if not callable(x) and not callable(y):
        return x * y
    return lambda count: (x(count) if callable(x) else x) * (y(count) if callable(y) else y)


@transformation(
    decay_rate=FINITE,
    decay_offset=NON_NEGATIVE,
    clipping_threshold=NON_NEGATIVE_OR_INF,
    momentum=UNIT,
    weight_decay_rate=FINITE,
)
def adafactor(
    learning_rate: ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: ScalarOrSchedule = 0.8,
    decay_offset: Numeric = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Numeric | None = 1.0,
    momentum: ScalarOrSchedule | None = None,
    dtype_momentum: DTypeLike = jnp.float32,
    weight_decay_rate: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-30,
    factored: bool = True,
    weight_decay_mask: MaskOrFn = None,
    *,
    weight_decay: AddedNumber = 0.0,
):
    """Adafactor: p = p - learning_rate max(rms(p), 0.001) u / max(1, rms(u) / clipping_threshold).

    u = g / sqrt(R C / mean(R)), with moving averages R and C of the squared gradient's rows and columns,
    see `scale_by_factored_rms`.

    Args:
        learning_rate: a number, an array or a schedule; None for 1.
        min_dim_size_to_factor, decay_rate, factored: see `scale_by_factored_rms`.
        decay_offset, eps: its `step_offset` and `epsilon`.
        multiply_by_parameter_scale: False leaves out max(rms(p), 0.001).
        clipping_threshold: see `clip_by_block_rms`; None does not clip.
        momentum: decay of an average of the steps, in [0, 1); None takes no average.
        dtype_momentum: dtype of that average.
        weight_decay_rate: decay not multiplied by the learning rate; None for none.
        weight_decay: decay multiplied by the learning rate, as in other optimizers.

    State: a chain's: `FactoredState(count, v_row, v_col, v)`, then one for each link in use.
    Memory: a row and a column for each matrix; with momentum 1 x the parameters.
    Reference: Shazeer and Stern, 2018, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost,
        arXiv:1804.04235.

    Example:
        >>> tx, p = gc.adafactor(0.5), jnp.array([2.0, 2.0])
        >>> p, state = tx.step(jnp.array([4.0, -0.5]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # the rate times rms(p) = 2, in each entry
        [1.0, 3.0]
    """
    links = [scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps)]
    if clipping_threshold is not None:
        links.append(clip_by_block_rms(clipping_threshold))
    if learning_rate is not None:
        links.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        links.append(scale_by_param_block_rms())
    if momentum is not None:
        links.append(moving_average(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        links.append(add_decayed_weights(weight_decay_rate, weight_decay_mask))
    rate = 1.0 if learning_rate is None else learning_rate
    if not is_zero(weight_decay):
        links.append(add_decayed_weights(_product(rate, weight_decay), weight_decay_mask))
    return chain(*links, scale(-1))
