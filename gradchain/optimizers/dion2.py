"""Dion2: orthogonal steps for the rows of the momentum that have grown most."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import FINITE, UNIT, Range, cast, chain, compute_dtype, matrixwise, real_dtype, transformation
from ..core.matrices import each_norm
from ..core.numerics import abs_sq, ema, sqrt, zeros_like
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
from ..transforms.by_matrix import adamw_links, matrices_and_rest
from ..transforms.decay import decoupled
from ..transforms.dimension_numbers import MuonDimensionNumbers, WeightDimNumOrFn, stack_views
from ..transforms.newton_schulz import orthogonalized
from ..transforms.polynomials import coefficients, preset
from ..transforms.scale_by_muon import Scaling, check_scaling, scale_by_fans
from ..transforms.scaling import scale_by_learning_rate

PART = Range("more than 0 and at most 1", lambda x: 0 < x <= 1)


class ScaleByDion2State(NamedTuple):
    """State of `scale_by_dion2`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; sum of gradients, less what steps have used of it
    nu: Params  # [matrices, columns], at least float32, mean squares; [matrices, 0] without b2


@transformation(beta=UNIT, fraction=PART)
def scale_by_dion2(
    fraction: Numeric = 0.25,
    beta: Hyperparameter = 0.95,
    b2: Hyperparameter | None = None,
    eps: Hyperparameter = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    ns_coeffs: Any = "polar_express_refit",
    ns_steps: int = 5,
    ns_dtype: DTypeLike | None = None,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Orthogonalizes the rows of summed gradients that are largest, and leaves the others for later.

    M = M + g;  S are the ceil(fraction n) rows of M of largest 1-norm;  u_S = NS(M_S), 0 elsewhere;
    M_S = beta M_S. "Rows" belong to the shorter side of n entries, of a square matrix to its outputs.

    Args:
        fraction: the part of the rows that takes a step, more than 0 and at most 1.
        beta: how much of the rows used stays in M, in [0, 1).
        b2: a number in [0, 1) gives Dion3: S are outputs always, each divided by the root of its mean
            square, averaged over its steps with this decay, the norm of u_S kept. None gives Dion2.
        eps: added to norms and roots, at least 0.
        ns_coeffs, ns_steps, ns_dtype: see `scale_by_muon`.
        weight_dimension_numbers: as in `scale_by_muon`.

    State: `ScaleByDion2State(count, mu, nu)`. Memory: 1 x the matrices.
    Raises: ValueError for an unknown name in `ns_coeffs`.
    Reference: Ahn et al., 2025, Dion2: A Simple Method to Shrink Matrix in Muon, arXiv:2512.16928.

    Example:
        >>> tx, g = gc.scale_by_dion2(fraction=0.5), jnp.array([[1.0, 9.0], [0.0, 2.0]])
        >>> _, state = tx.update(g, tx.init(g), g)
        >>> u, _ = tx.update(jnp.zeros((2, 2)), state, g)
        >>> print((jnp.linalg.norm(u, axis=0) > 0.5).tolist())  # the larger column has 0.95 of its sum left
        [False, True]
    """
    named = preset("scale_by_dion2", ns_coeffs)
    margin = 1.0 if named is None else named.margin

    def init(p: Any) -> ScaleByDion2State:
        matrices, _, columns = p.shape
        dtype = real_dtype(compute_dtype(p.dtype))
        nu = jnp.zeros((matrices, 0 if b2 is None else columns), dtype)
        return ScaleByDion2State(count=0, mu=zeros_like(p, mu_dtype), nu=nu)

    def update(g: Array, s: ScaleByDion2State, p: Array | None) -> tuple[Array, ScaleByDion2State]:
        m = s.mu + g
        by_column = b2 is not None or m.shape[2] <= m.shape[1]
        x = jnp.swapaxes(m, 1, 2) if by_column else m
        index, kept = largest(x)
        part = jnp.take_along_axis(x, index[..., None], axis=1)
        u, nu = orthogonal(jnp.where(kept, part, 0)), s.nu
        if b2 is not None:
            v = jnp.take_along_axis(nu, index, axis=1)[..., None]
            v = jnp.where(kept, ema(jnp.mean(abs_sq(u), axis=2, keepdims=True), v, b2), v)
            w = u / (sqrt(v) + eps)
            u, nu = w * each_norm(u) / jnp.maximum(each_norm(w), 1e-8), put(nu, index, v[..., 0])
        u = put(jnp.zeros_like(x), index, u)
        mu = put(x, index, jnp.where(kept, beta * part, part))
        u, mu = (jnp.swapaxes(y, 1, 2) if by_column else y for y in (u, mu))
        return u, s._replace(mu=mu, nu=nu)

    def largest(x: Array) -> tuple[Array, Array]:
        """The numbers of the largest rows, and which of them to keep: of a traced fraction not all."""
        n = x.shape[1]
        sizes = jax.lax.stop_gradient(jnp.sum(jnp.abs(x), axis=2))
        if isinstance(fraction, (int, float)):
            wanted = min(max(1, math.ceil(fraction * n)), n)
            return jax.lax.top_k(sizes, wanted)[1], jnp.ones((wanted, 1), bool)
        wanted = jnp.ceil(fraction * n * (1 - 1e-6))
        return jax.lax.top_k(sizes, n)[1], (jnp.arange(n) < wanted)[:, None]

    def orthogonal(part: Array) -> Array:
        tall = part.shape[1] > part.shape[2]
        x = cast(jnp.swapaxes(part, 1, 2) if tall else part, part.dtype if ns_dtype is None else ns_dtype)
        rows = coefficients("scale_by_dion2", ns_coeffs, ns_steps)
        y = cast(orthogonalized(x, rows, ns_steps, eps=eps, margin=margin), part.dtype)
        return jnp.swapaxes(y, 1, 2) if tall else y

    views = stack_views("scale_by_dion2", weight_dimension_numbers, MuonDimensionNumbers())
    return matrixwise(init, update, views=views, like_params=["mu"])


def put(x: Array, index: Array, values: Array) -> Array:
    """Each array of a stack with other values at places of its first axis."""
    return jax.vmap(lambda a, i, v: a.at[i].set(v, unique_indices=True))(x, index, values)


@transformation(
    beta=UNIT,
    fraction=PART,
    adam_b1=UNIT,
    adam_b2=UNIT,
    adam_weight_decay=FINITE,
    adam_learning_rate=FINITE,
)
def dion2(
    learning_rate: ScalarOrSchedule = 0.01,
    fraction: Numeric = 0.25,
    beta: ScalarOrSchedule = 0.95,
    b2: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: AddedNumber = 0.01,
    weight_decay_mask: MaskOrFn = None,
    mu_dtype: DTypeLike | None = None,
    *,
    ns_coeffs: Any = "polar_express_refit",
    ns_steps: int = 5,
    ns_dtype: DTypeLike | None = None,
    scaling: Scaling = "spectral",
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    adam_learning_rate: ScalarOrSchedule | None = None,
    adam_b1: ScalarOrSchedule = 0.9,
    adam_b2: ScalarOrSchedule = 0.95,
    adam_eps: ScalarOrSchedule = 1e-8,
    adam_weight_decay: ScalarOrSchedule = 0.01,
):
    """Dion2: p = p - learning_rate (sqrt(columns / rows) u + weight_decay p) for matrices.

    u is the orthogonalized part of the momentum that is largest, see `scale_by_dion2`; columns are the
    outputs. With `b2` it is Dion3.

    Args:
        fraction, beta, b2, eps: see `scale_by_dion2`.
        ns_coeffs, ns_steps, ns_dtype: see `scale_by_muon`.
        scaling: see `muon`.
        weight_decay, weight_decay_mask: decoupled weight decay of the matrices, in all rows.
        weight_dimension_numbers: which parameters are matrices, and how, see `muon`; by default those with
            exactly two axes.
        adam_learning_rate: for all others, which get AdamW; None takes `learning_rate`.
        adam_b1, adam_b2, adam_eps, adam_weight_decay: see `adamw`.

    State: `PartitionState` of "dion2" and "adam". Memory: 1 x the matrices, 2 x the rest.
    Raises: ValueError for unknown names.
    Reference: Ahn et al., 2025, Dion2: A Simple Method to Shrink Matrix in Muon, arXiv:2512.16928.

    Example:
        >>> tx, p = gc.dion2(1.0, fraction=0.5, weight_decay=0.0), jnp.zeros((2, 2))
        >>> p, _ = tx.step(jnp.array([[1.0, 9.0], [0.0, 2.0]]), tx.init(p), p)
        >>> print((jnp.linalg.norm(p, axis=0) > 0.5).tolist())  # the larger of two columns moves
        [False, True]
    """
    check_scaling("dion2", scaling)
    preset("dion2", ns_coeffs)
    numbers = weight_dimension_numbers
    matrices = chain(
        scale_by_dion2(
            fraction,
            beta,
            b2,
            eps,
            mu_dtype,
            ns_coeffs=ns_coeffs,
            ns_steps=ns_steps,
            ns_dtype=ns_dtype,
            weight_dimension_numbers=numbers,
        ),
        scale_by_fans(numbers, None, scaling),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    rest = adamw_links(rate, adam_b1, adam_b2, adam_eps, adam_weight_decay)
    return matrices_and_rest("dion2", matrices, rest, numbers)
