"""CAME: Adafactor with momentum, whose steps are divided by how far they are from their average."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import NON_NEGATIVE, POSITIVE, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, ema, rms, sqrt, zeros_like
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Params,
    ScalarOrSchedule,
)
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decoupled


class ScaleByCameState(NamedTuple):
    """State of `scale_by_came`. Matrices have rows and columns, vectors v; unused fields are [1]."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; average of the clipped steps
    v: Params  # like |params|, at least float32, or nu_dtype; mean squares of arrays that are not factored
    v_row: Params  # without the last axis, like v; mean squares of each row
    v_col: Params  # without the last axis but one, like v; mean squares of each column
    res_row: Params  # like v_row; mean squared distances of a step from the average
    res_col: Params  # like v_col; the same for columns


def _inverse_root(v: Array) -> Array:
    # Not a power or rsqrt: their derivatives at v = 1e-33 overflow in float32.
    return jnp.where(v > 0, 1 / sqrt(jnp.where(v > 0, v, 1)), 0)


def _divided(x: Array, row: Array, col: Array) -> Array:
    """x / sqrt(row col / mean(row))."""
    mean = row.mean(-1, keepdims=True)
    rows = _inverse_root(row / jnp.where(mean > 0, mean, 1))
    return x * rows[..., :, None] * _inverse_root(col)[..., None, :]


@transformation(eps1=NON_NEGATIVE, eps2=NON_NEGATIVE, clip_threshold=POSITIVE)
def scale_by_came(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    b3: Hyperparameter = 0.9999,
    eps1: Hyperparameter = 1e-30,
    eps2: Hyperparameter = 1e-16,
    clip_threshold: Hyperparameter = 1.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Averages Adafactor's steps, and makes them small where they disagree with their average.

    R = b2 R + (1 - b2) mean_columns(|g|^2 + eps1), C likewise;  n = g / sqrt(R C / mean(R));
    n = n / max(1, rms(n) / clip_threshold);  m = b1 m + (1 - b1) n;
    S = b3 S + (1 - b3) mean_columns(|n - m|^2 + eps2), T likewise;  u = m / sqrt(S T / mean(S)).

    Arrays of one axis keep v = b2 v + (1 - b2) (|g|^2 + eps1) in full, and u = m. Nothing is debiased: the
    first steps are long, about 10 times the learning rate. A warmup makes them shorter.

    Args:
        b3: decay of the mean squared distances, in [0, 1).
        eps1, eps2: added to squares, at least 0.
        clip_threshold: the largest root mean square of n, more than 0.
        nu_dtype: dtype of all mean squares, by default real and at least float32.

    State: `ScaleByCameState(count, mu, v, v_row, v_col, res_row, res_col)`.
    Memory: 1 x the parameters, and two rows and columns for each matrix.
    Reference: Luo et al., 2023, arXiv:2307.02047.

    Example:
        >>> tx, p = gc.scale_by_came(), jnp.zeros((3, 4))
        >>> arrays = [x for x in jax.tree.leaves(tx.init(p)) if x.size > 1]
        >>> sorted(x.shape for x in arrays)  # an average, two rows and two columns
        [(3,), (3,), (3, 4), (4,), (4,)]
    """

    def init(p: Array) -> ScaleByCameState:
        v, mu = accumulator_like(p, nu_dtype), zeros_like(p, mu_dtype)
        unused = [jnp.zeros((1,), v.dtype) for _ in range(4)]
        if v.ndim < 2:
            return ScaleByCameState(0, mu, v, *unused)
        # Sums of v, not new zeros: sums keep the sharding of v.
        return ScaleByCameState(0, mu, unused[0], v.sum(-1), v.sum(-2), v.sum(-1), v.sum(-2))

    def clipped(n: Array) -> Array:
        return n / jnp.maximum(1.0, rms(n) / clip_threshold)

    def update(g: Array, s: ScaleByCameState, p: Array | None) -> tuple[Array, ScaleByCameState]:
        square = abs_sq(g) + eps1
        if g.ndim < 2:
            v = ema(square, s.v, b2)
            mu = ema(clipped(g * _inverse_root(v)), s.mu, b1)
            return mu, s._replace(mu=mu, v=v)
        v_row, v_col = ema(square.mean(-1), s.v_row, b2), ema(square.mean(-2), s.v_col, b2)
        n = clipped(_divided(g, v_row, v_col))
        mu = ema(n, s.mu, b1)
        distance = abs_sq(n - mu) + eps2
        res_row, res_col = ema(distance.mean(-1), s.res_row, b3), ema(distance.mean(-2), s.res_col, b3)
        u = _divided(mu, res_row, res_col)
        return u, s._replace(mu=mu, v_row=v_row, v_col=v_col, res_row=res_row, res_col=res_col)

    return leafwise(init, update, like_params=False, traits=[Trait.RESCALES])


@transformation(deferred=True, eps1=NON_NEGATIVE, eps2=NON_NEGATIVE, clip_threshold=POSITIVE)
def came(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    eps1: ScalarOrSchedule = 1e-30,
    eps2: ScalarOrSchedule = 1e-16,
    clip_threshold: ScalarOrSchedule = 1.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """CAME: p = p - learning_rate (m / sqrt(S T / mean(S)) + weight_decay p).

    m is an average of Adafactor's steps; S and T are rows and columns of averages of their squared distance
    from it, see `scale_by_came`.

    Args:
        learning_rate: the authors' default is 2e-4.
        b1, b2, b3, eps1, eps2, clip_threshold, nu_dtype: see `scale_by_came`.

    State: a chain's: `ScaleByCameState`, the learning rate's.
    Memory: 1 x the parameters, and two rows and columns for each matrix.
    Reference: Luo et al., 2023, CAME: Confidence-guided Adaptive Memory Efficient Optimization,
        arXiv:2307.02047.

    Example:
        >>> tx, p = gc.came(0.5), jnp.array([0.0, 0.0])
        >>> p, state = tx.step(jnp.array([3.0, -0.01]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # an average, 1 - b1 of Adafactor's step
        [-0.05, 0.05]
    """
    return chain(
        scale_by_came(b1, b2, b3, eps1, eps2, clip_threshold, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
