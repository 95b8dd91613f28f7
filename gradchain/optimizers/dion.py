"""Dion: orthogonal steps of low rank, by one power iteration on the momentum."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import FINITE, UNIT, chain, compute_dtype, matrixwise, transformation
from ..core.matrices import adjoint, basis_of, each_norm, product
from ..core.numerics import abs_sq, key_of, one_minus, sqrt, zeros_like
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
from ..transforms.by_matrix import adamw_links, matrices_and_rest
from ..transforms.decay import decoupled
from ..transforms.dimension_numbers import MuonDimensionNumbers, WeightDimNumOrFn, stack_views
from ..transforms.scale_by_muon import Scaling, check_scaling, scale_by_fans
from ..transforms.scaling import scale_by_learning_rate


class ScaleByDionState(NamedTuple):
    """State of `scale_by_dion`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; sum of gradients, less what steps have used of it
    basis: Params  # [matrices, rows, rank] for each parameter, at least float32; Q


@transformation(beta=UNIT)
def scale_by_dion(
    beta: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    rank_fraction: float = 1,
    rank: int | None = None,
    key: int | Array = 0,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Replaces summed gradients by matrices of low rank whose singular values are near 1.

    M = M + g;  P = orth(M* Q);  R = M P;  M = M - (1 - beta) R P*;  Q = R / (column norms + eps);
    u = Q P*. orth is the QR decomposition's. What a step leaves of M is there in the next one.

    A column of R that is rounding error alone, as where M is 0 or of lower rank, gives no update, and Q
    keeps its column.

    Args:
        beta: how much of what a step uses stays in M, in [0, 1).
        eps: added to the norms of columns, at least 0.
        rank_fraction: rank of the updates as a part of the shorter side, more than 0 and at most 1.
        rank: the rank itself, at least 1, in place of `rank_fraction`; at most the shorter side.
        key: a random key, or an integer seed, from which Q begins, for all matrices of one shape the same.
        weight_dimension_numbers: as in `scale_by_muon`.

    State: `ScaleByDionState(count, mu, basis)`. Memory: 1 x the matrices, and rows x rank for each.
    Raises: ValueError for `rank_fraction` and `rank` out of range.
    Reference: Ahn et al., 2025, Dion: Distributed Orthonormalized Updates, arXiv:2504.05295.

    Example:
        >>> tx, g = gc.scale_by_dion(rank=1), jnp.array([[3.0, 6.0], [1.0, 2.0]])
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> [round(x, 2) for x in jnp.linalg.svd(u)[1].tolist()]  # of g they are 7.07 and 0
        [1.0, 0.0]
    """
    check_rank("scale_by_dion", rank_fraction, rank)

    def init(p: Any) -> ScaleByDionState:
        matrices, rows, columns = p.shape
        # Drawn in float32 always: the same numbers for every dtype
        normal = jax.random.normal(key_of(key), (matrices, rows, rank_of(rows, columns)), jnp.float32)
        basis = normal.astype(compute_dtype(p.dtype))
        return ScaleByDionState(count=0, mu=zeros_like(p, mu_dtype), basis=basis)

    def rank_of(rows: int, columns: int) -> int:
        shorter = min(rows, columns)
        return min(max(1, math.ceil(rank_fraction * shorter)) if rank is None else rank, shorter)

    def update(g: Array, s: ScaleByDionState, p: Array | None) -> tuple[Array, ScaleByDionState]:
        m = s.mu + g
        left = basis_of(product(adjoint(m), s.basis))
        right = product(m, left)
        sizes = sqrt(jnp.sum(abs_sq(right), axis=1, keepdims=True))
        noise = 4 * max(m.shape[1:]) ** 0.5 * jnp.finfo(m.dtype).eps
        found = sizes > noise * each_norm(m)
        basis = right / (jnp.where(found, sizes, 1) + eps)
        mu = m - one_minus(beta) * product(right, adjoint(left))
        u = product(jnp.where(found, basis, 0), adjoint(left))
        return u, s._replace(mu=mu, basis=jnp.where(found, basis, s.basis))

    views = stack_views("scale_by_dion", weight_dimension_numbers, MuonDimensionNumbers())
    return matrixwise(init, update, views=views, like_params=["mu"])


def check_rank(name: str, rank_fraction: Any, rank: Any) -> None:
    """Raises ValueError for a rank, or a part of the full rank, that no matrix has."""
    if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
        raise ValueError(f"{name}: rank must be a whole number of at least 1 or None, received {rank!r}.")
    if not isinstance(rank_fraction, (int, float)) or not 0 < rank_fraction <= 1:
        raise ValueError(
            f"{name}: rank_fraction must be a number, more than 0 and at most 1, received "
            f"{rank_fraction!r}: it decides the shapes in the state."
        )


@transformation(beta=UNIT, adam_b1=UNIT, adam_b2=UNIT, adam_weight_decay=FINITE, adam_learning_rate=FINITE)
def dion(
    learning_rate: ScalarOrSchedule = 0.01,
    beta: ScalarOrSchedule = 0.95,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: AddedNumber = 0.01,
    weight_decay_mask: MaskOrFn = None,
    mu_dtype: DTypeLike | None = None,
    *,
    rank_fraction: float = 1,
    rank: int | None = None,
    key: int | Array = 0,
    scaling: Scaling = "spectral",
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    adam_learning_rate: ScalarOrSchedule | None = None,
    adam_b1: ScalarOrSchedule = 0.9,
    adam_b2: ScalarOrSchedule = 0.95,
    adam_eps: ScalarOrSchedule = 1e-8,
    adam_weight_decay: ScalarOrSchedule = 0.01,
):
    """Dion: p = p - learning_rate (sqrt(columns / rows) u + weight_decay p) for matrices.

    u is the momentum's part of low rank with singular values near 1, see `scale_by_dion`; columns are the
    outputs.

    Args:
        beta, eps, rank_fraction, rank, key: see `scale_by_dion`.
        scaling: see `muon`.
        weight_decay, weight_decay_mask: decoupled weight decay of the matrices.
        weight_dimension_numbers: which parameters are matrices, and how, see `muon`; by default those with
            exactly two axes.
        adam_learning_rate: for all others, which get AdamW; None takes `learning_rate`.
        adam_b1, adam_b2, adam_eps, adam_weight_decay: see `adamw`.

    State: `PartitionState` of "dion" and "adam". Memory: 1 x the matrices and rows x rank for each, 2 x the
        rest.
    Raises: ValueError for an unknown `scaling`, and for `rank_fraction` and `rank` out of range.
    Reference: Ahn et al., 2025, Dion: Distributed Orthonormalized Updates, arXiv:2504.05295.

    Example:
        >>> tx, p = gc.dion(1.0, rank=1, weight_decay=0.0), jnp.zeros((2, 2))
        >>> p, _ = tx.step(jnp.array([[-3.0, -3.0], [-4.0, -4.0]]), tx.init(p), p)
        >>> [[round(x, 3) for x in row] for row in p.tolist()]  # of rank 1 and norm 1
        [[0.424, 0.424], [0.566, 0.566]]
    """
    check_scaling("dion", scaling)
    check_rank("dion", rank_fraction, rank)
    numbers = weight_dimension_numbers
    matrices = chain(
        scale_by_dion(
            beta,
            eps,
            mu_dtype,
            rank_fraction=rank_fraction,
            rank=rank,
            key=key,
            weight_dimension_numbers=numbers,
        ),
        scale_by_fans(numbers, None, scaling),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    rest = adamw_links(rate, adam_b1, adam_b2, adam_eps, adam_weight_decay)
    return matrices_and_rest("dion", matrices, rest, numbers)
