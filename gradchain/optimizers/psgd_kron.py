"""PSGD Kron: gradients whitened by triangular factors that are fitted as training goes."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ..core import AT_LEAST_1, CLOSED_UNIT, POSITIVE, UNIT, chain, matrixwise, nearest, transformation
from ..core.numerics import abs_sq, debias, ema, key_of, safe_increment, sqrt, zeros_like
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
from ..transforms.decay import decoupled
from ..transforms.decay_masks import decay_matrices_only
from ..transforms.dimension_numbers import WeightDimNumOrFn, stack_views
from ..transforms.kron_factors import KronFactors, balanced, fitted, initial_factors, preconditioned
from ..transforms.scaling import scale_by_learning_rate

MemorySaveMode = Literal["one_diag", "smart_one_diag", "all_diag"]
MODES = ("one_diag", "smart_one_diag", "all_diag")

TWO_AXES_OR_MORE = decay_matrices_only(exclude=())
"""Where the authors decay."""


class ScaleByKronState(NamedTuple):
    """State of `scale_by_kron`."""

    count: Count  # i32[]  steps taken
    update_counter: Array  # i32[]  steps since the factors' last update; 0 if this step was one
    rng_key: Array  # key[]  from which all noise is drawn
    mu: Params  # like params, or mu_dtype; moving average of gradients
    factors: Params  # [arrays, d, d] or, diagonal, [arrays, d], for each stack and axis, at least float32


def annealed_probability(count: Any) -> Array:
    """The authors' probability of an update after `count` steps: 1 for 500 steps, 0.03 after 4000."""
    return jnp.clip(jnp.exp(-0.001 * (jnp.asarray(count, jnp.float32) - 500)), 0.03, 1)


@transformation(
    precond_lr=UNIT,
    precond_update_probability=CLOSED_UNIT,
    precond_init_scale=POSITIVE,
    balance_probability=CLOSED_UNIT,
    clipping_threshold=POSITIVE,
    max_size_triangular=AT_LEAST_1,
)
def scale_by_kron(
    b1: Hyperparameter = 0.9,
    precond_lr: Hyperparameter = 0.1,
    precond_update_probability: Hyperparameter | None = None,
    precond_init_scale: Numeric = 1.0,
    max_size_triangular: int = 8192,
    min_ndim_triangular: int = 2,
    memory_save_mode: MemorySaveMode | None = None,
    momentum_into_precond_update: bool = True,
    balance_probability: Hyperparameter = 0.01,
    clipping_threshold: Hyperparameter | None = 1.1,
    key: int | Array = 0,
    mu_dtype: DTypeLike | None = None,
    *,
    merge_dims: int = 0,
    block_size: int = 0,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Whitens averaged gradients by a factor Q for each axis: u = Q* Q m', Q applied along its axis.

    a = Q (m' + 0.00035 mean |m'| v), b = Q^{-*} v, v normal;  S = a a*, T = b b*, unfolded along the axis;
    Q = Q - precond_lr triu(S - T) Q / |S + T|, a lower bound of the norm;  u / max(1, rms(u) / 1.1).

    Args:
        b1: decay of the debiased average m', in [0, 1).
        precond_lr: step of Q, in [0, 1).
        precond_update_probability: 1 / it, rounded up, is the number of steps from one update of Q to the
            next, in [0, 1]. None for the authors' schedule: 1 for 500 steps, down to 0.03 after 4000.
        precond_init_scale: what Q multiplies by at first, over all axes.
        max_size_triangular: a longer axis has a diagonal Q.
        min_ndim_triangular: arrays of fewer axes have diagonal Q; 1 gives vectors triangular ones.
        memory_save_mode: "one_diag", the longest axis has a diagonal Q (the last of equals);
            "smart_one_diag", if no other is as long; "all_diag", every axis.
        momentum_into_precond_update: fits Q to m', not to the gradient.
        balance_probability: of evening out the scales of the axes' Q before an update.
        clipping_threshold: largest root mean square of each array's u; None does not clip.
        key: a random key, or an integer seed.
        merge_dims: merges neighbouring axes while their product is at most this, small matrices to vectors.
        block_size, weight_dimension_numbers: as in `scale_by_soap`.

    State: `ScaleByKronState`. Memory: 1 x the parameters, and rows^2 + columns^2 for each matrix.
    Raises: ValueError for another `memory_save_mode`.
    Reference: Li, 2015, Preconditioned Stochastic Gradient Descent, arXiv:1512.04202; Pooladzandi and Li,
        2024, Curvature-Informed SGD via General Purpose Lie-Group Preconditioners, arXiv:2402.04553.

    Example:
        >>> tx, p = gc.scale_by_kron(precond_init_scale=0.5), jnp.zeros((2, 3))
        >>> arrays = jax.tree.leaves(tx.init(p))
        >>> [x[0].tolist() for x in arrays if x.shape == (1, 2, 2)]  # the factor of the rows, at first
        [[[0.7071067690849304, 0.0], [0.0, 0.7071067690849304]]]
    """
    if memory_save_mode is not None and memory_save_mode not in MODES:
        raise ValueError(
            f"scale_by_kron: memory_save_mode must be one of {', '.join(MODES)} or None, received "
            f"{memory_save_mode!r}.{nearest(str(memory_save_mode), MODES)}"
        )

    def diagonal(dims: Sequence[int]) -> list[bool]:
        longest = max(range(len(dims)), key=lambda i: (dims[i], i))
        one = memory_save_mode == "one_diag" or (
            memory_save_mode == "smart_one_diag" and len(dims) > 1 == dims.count(dims[longest])
        )
        every = memory_save_mode == "all_diag" or len(dims) < min_ndim_triangular
        return [
            every or d <= 1 or d > max_size_triangular or (one and i == longest) for i, d in enumerate(dims)
        ]

    def init(p: Any) -> ScaleByKronState:
        return ScaleByKronState(
            count=0,
            update_counter=jnp.zeros((), jnp.int32),
            rng_key=key_of(key),
            mu=zeros_like(p, mu_dtype),
            factors=initial_factors(p, diagonal(p.shape[1:]), precond_init_scale),
        )

    def begin(s: ScaleByKronState) -> ScaleByKronState:
        given = precond_update_probability
        chance = annealed_probability(s.count - 1) if given is None else jnp.asarray(given, jnp.float32)
        passed = safe_increment(s.update_counter)
        # Less than a whole number of steps by what rounding adds to 1 / probability
        due = passed >= 1 / chance - 1e-3
        return s._replace(update_counter=jnp.where(due, 0, passed))

    def update(
        g: Array, s: ScaleByKronState, p: Array | None, seeds: Array
    ) -> tuple[Array, ScaleByKronState]:
        mu = ema(g, s.mu, b1)
        m = debias(mu, b1, s.count)

        def updated() -> KronFactors:
            noise_key, balance_key = jax.random.split(jax.random.fold_in(s.rng_key, s.count))
            x = m if momentum_into_precond_update else g
            v = jax.vmap(
                lambda i: jax.random.normal(jax.random.fold_in(noise_key, i), x.shape[1:], x.dtype)
            )(seeds)
            even = jax.random.uniform(balance_key) < balance_probability
            starts = [
                jnp.where(even, q, old) for q, old in zip(balanced(s.factors), s.factors, strict=True)
            ]
            news = fitted(x, v, tuple(starts), precond_lr)
            return tuple(q.astype(old.dtype) for q, old in zip(news, s.factors, strict=True))

        if g.size:
            s = s._replace(factors=jax.lax.cond(s.update_counter == 0, updated, lambda: s.factors))
        u = preconditioned(m, s.factors)
        if clipping_threshold is not None:
            mean = jnp.sum(abs_sq(u), tuple(range(1, u.ndim)), keepdims=True) / max(u[:1].size, 1)
            u = u / jnp.maximum(1, sqrt(mean) / clipping_threshold)
        return u, s._replace(mu=mu)

    how = {"merge": merge_dims, "block": block_size}
    return matrixwise(
        init,
        update,
        views=stack_views("scale_by_kron", weight_dimension_numbers, None, **how),
        like_params=["mu"],
        shared=["update_counter", "rng_key"],
        begin=begin,
        draws=True,
        remark=lambda dims: _remark(dims, diagonal(dims)),
    )


def _remark(dims: Sequence[int], diagonal: Sequence[bool]) -> str:
    """What `describe` should say of an array some of whose axes have a diagonal factor."""
    long = [str(d) for d, flat in zip(dims, diagonal, strict=True) if flat and d > 1]
    return f"has a diagonal factor for its axis of {' and '.join(long)}" if long and len(dims) > 1 else ""


@transformation(
    precond_lr=UNIT,
    precond_update_probability=CLOSED_UNIT,
    precond_init_scale=POSITIVE,
    balance_probability=CLOSED_UNIT,
    clipping_threshold=POSITIVE,
    max_size_triangular=AT_LEAST_1,
)
def psgd_kron(
    learning_rate: ScalarOrSchedule = 1e-3,
    b1: ScalarOrSchedule = 0.9,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = TWO_AXES_OR_MORE,
    precond_lr: ScalarOrSchedule = 0.1,
    precond_update_probability: ScalarOrSchedule | None = None,
    precond_init_scale: Numeric = 1.0,
    max_size_triangular: int = 8192,
    min_ndim_triangular: int = 2,
    memory_save_mode: MemorySaveMode | None = None,
    momentum_into_precond_update: bool = True,
    balance_probability: ScalarOrSchedule = 0.01,
    clipping_threshold: ScalarOrSchedule | None = 1.1,
    key: int | Array = 0,
    mu_dtype: DTypeLike | None = None,
    *,
    merge_dims: int = 0,
    block_size: int = 0,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """PSGD Kron: p = p - learning_rate (Q* Q m + weight_decay p), fitted so that Q* Q g is white.

    Every axis of an array has a factor Q, triangular or, of vectors and long axes, diagonal. A step on
    which they are not updated costs products alone. The authors advise a third of Adam's learning rate,
    and a weight decay three to ten times as large.

    Args:
        b1, precond_lr, precond_update_probability, precond_init_scale: see `scale_by_kron`.
        max_size_triangular, min_ndim_triangular, memory_save_mode: see `scale_by_kron`.
        momentum_into_precond_update, balance_probability, clipping_threshold, key: see `scale_by_kron`.
        merge_dims, block_size, weight_dimension_numbers: see `scale_by_kron`.
        weight_decay_mask: by default arrays of two or more axes decay.

    State: a chain's: `ScaleByKronState`, the learning rate's.
    Memory: 1 x the parameters, and rows^2 + columns^2 for each matrix.
    Raises: ValueError for another `memory_save_mode`.
    Reference: Li, 2015, Preconditioned Stochastic Gradient Descent, arXiv:1512.04202; Pooladzandi and Li,
        2024, Curvature-Informed SGD via General Purpose Lie-Group Preconditioners, arXiv:2402.04553.

    Example:
        >>> tx, p = gc.psgd_kron(0.5), jnp.zeros((2, 3))
        >>> arrays = [x for x in jax.tree.leaves(tx.init(p)) if x.ndim]
        >>> [x.shape for x in arrays]  # the momentum, and a factor for each axis
        [(2, 3), (1, 2, 2), (1, 3, 3)]
    """
    return chain(
        scale_by_kron(
            b1,
            precond_lr,
            precond_update_probability,
            precond_init_scale,
            max_size_triangular,
            min_ndim_triangular,
            memory_save_mode,
            momentum_into_precond_update,
            balance_probability,
            clipping_threshold,
            key,
            mu_dtype,
            merge_dims=merge_dims,
            block_size=block_size,
            weight_dimension_numbers=weight_dimension_numbers,
        ),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
