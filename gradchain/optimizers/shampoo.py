"""Shampoo: gradients whitened on every axis, with steps as long as a simpler optimizer's."""

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from ..core import (
    AT_LEAST_1,
    CLOSED_UNIT,
    NON_NEGATIVE,
    UNIT,
    Renewal,
    chain,
    matrixwise,
    nearest,
    transformation,
)
from ..core.matrices import each_norm, gram
from ..core.numerics import abs_sq, accumulator_like, ema, one_minus, sqrt, weight_after, zeros_like
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
from ..transforms.decay import decoupled
from ..transforms.dimension_numbers import WeightDimNumOrFn, stack_views
from ..transforms.kronecker import (
    factored_axes,
    identity_factors,
    inverse_root,
    multiplied,
    no_factors,
    with_factor,
)
from ..transforms.scaling import scale_by_learning_rate

Graft = Literal["sgd", "adagrad", "rmsprop", "adam"]
GRAFTS = ("sgd", "adagrad", "rmsprop", "adam")


def _check_graft(name: str, graft: Any) -> None:
    """Raises ValueError for an unknown graft, with the nearest one."""
    if graft is not None and graft not in GRAFTS:
        raise ValueError(
            f"{name}: graft must be one of {', '.join(GRAFTS)} or None, received {graft!r}."
            f"{nearest(str(graft), GRAFTS)}"
        )


class ScaleByShampooState(NamedTuple):
    """State of `scale_by_shampoo`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; the graft's squares; or [arrays, 0]
    factors: Params  # [arrays, d, d] for each stack and axis, at least float32; sum or average of G G*
    roots: Params  # the same shapes; their inverse roots


@transformation(
    b2=CLOSED_UNIT,
    b3=UNIT,
    precondition_frequency=AT_LEAST_1,
    start_step=AT_LEAST_1,
    max_precond_dim=AT_LEAST_1,
    graft_b2=UNIT,
    graft_eps=NON_NEGATIVE,
)
def scale_by_shampoo(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 1.0,
    b3: Hyperparameter | None = None,
    eps: Hyperparameter = 1e-12,
    precondition_frequency: int | Array = 1,
    start_step: int | Array | None = None,
    max_precond_dim: int = 1024,
    merge_dims: bool = True,
    graft: Graft | None = None,
    graft_b2: Hyperparameter | None = None,
    graft_eps: Hyperparameter | None = None,
    correct_bias: bool = True,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
    one_sided: bool = False,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Multiplies averaged gradients by inverse roots of the gradients' Gram matrices, axis by axis.

    L = b2 L + (1 - b2) G G*, R likewise of the columns;  u = L'^{-1/4} m' R'^{-1/4}, times |P| / |u| with
    the update P of the graft. The roots are computed every `precondition_frequency` steps; those of an
    array with k factors have the exponent -1 / (2 k).

    Args:
        b1: decay of m, in [0, 1).
        b2: decay of the factors, in [0, 1]; 1 sums them up.
        b3: m' = b3 m + (1 - b3) g before m moves, in [0, 1); None for `b1`.
        eps: added to the factors' eigenvalues, at least 0.
        start_step: before it u = P, in place of a root that knows little; None for
            `precondition_frequency`.
        max_precond_dim: longer axes are cut into blocks.
        merge_dims: merges neighbouring axes, from the last on, while their product is at most
            `max_precond_dim`: small matrices become vectors with one factor.
        graft: whose length each block's step has: "sgd", m'; "adagrad", "rmsprop" or "adam", m' over the
            root of squares; None keeps Shampoo's own.
        graft_b2, graft_eps: of the graft; None for 0.99 (RMSprop), 0.999 (Adam), and 1e-10 (Adagrad), 1e-8.
        correct_bias: corrects m, the factors and Adam's squares for their start at zero.
        one_sided: of a matrix only the shorter side has a factor.
        weight_dimension_numbers: as in `scale_by_soap`.

    State: `ScaleByShampooState`. Memory: 1 or 2 x the parameters, 2 (rows^2 + columns^2) for each matrix.
    Reference: Shi et al., 2023, A Distributed Data-Parallel PyTorch Implementation of the Distributed
        Shampoo Optimizer, arXiv:2309.06497; Gupta, Koren and Singer, 2018, arXiv:1802.09568.

    Example:
        >>> tx = gc.scale_by_shampoo(b1=0.0, merge_dims=False)
        >>> g = jnp.array([[4.0, 0.0], [0.0, 0.5]])
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> [[round(abs(x), 2) for x in row] for row in u.tolist()]  # at first, the orthogonalized gradient
        [[1.0, 0.0], [0.0, 1.0]]
    """
    _check_graft("scale_by_shampoo", graft)
    first = precondition_frequency if start_step is None else start_step
    squares = graft not in (None, "sgd")
    if graft_b2 is None:
        graft_b2 = 0.99 if graft == "rmsprop" else 0.999
    if graft_eps is None:
        graft_eps = 1e-10 if graft == "adagrad" else 1e-8

    def init(p: Any) -> ScaleByShampooState:
        axes = factored_axes(p.shape[1:], max_precond_dim, one_sided)
        nu = accumulator_like(p, nu_dtype) if squares else jnp.zeros((p.shape[0], 0), jnp.float32)
        return ScaleByShampooState(
            count=0,
            mu=zeros_like(p, mu_dtype),
            nu=nu,
            factors=no_factors(p, axes),
            roots=identity_factors(p, axes),
        )

    def grafted(m: Array, nu: Array, count: Any) -> Array:
        if not squares:
            return m
        bias = weight_after(count, graft_b2) if graft == "adam" and correct_bias else 1
        return m / (sqrt(nu / bias) + graft_eps)

    def measured(g: Array, s: ScaleByShampooState, p: Array | None) -> tuple[Array, ScaleByShampooState]:
        weight = jnp.where(b2 == 1, 1, one_minus(b2))
        factors = with_factor(lambda a, axis: b2 * a + weight * gram(g, axis), s.factors, range(g.ndim - 1))
        return g, s._replace(factors=factors)

    def renew(s: ScaleByShampooState) -> ScaleByShampooState:
        order = max(sum(a is not None for a in s.factors), 1)
        bias = jnp.where(b2 == 1, 1, weight_after(s.count, b2)) if correct_bias else 1
        return s._replace(roots=with_factor(lambda a: inverse_root(a / bias, 2 * order, eps), s.factors))

    def due(t: Any) -> Any:
        return ((t % precondition_frequency == 0) | (t == first)) & (t >= first)

    def update(g: Array, s: ScaleByShampooState, p: Array | None) -> tuple[Array, ScaleByShampooState]:
        t, nu = s.count, s.nu
        if squares:
            nu = nu + abs_sq(g) if graft == "adagrad" else ema(abs_sq(g), nu, graft_b2)
        before = b1 if b3 is None else b3
        m, mu = ema(g, s.mu, before), ema(g, s.mu, b1)
        if correct_bias:
            m = m / (1 - before * b1 ** (t - 1))
        plain = grafted(m, nu, t)
        u = multiplied(s.roots, m)
        if graft is not None:
            u = u * each_norm(plain) / (each_norm(u) + 1e-16)
        return jnp.where(t < first, plain, u), s._replace(mu=mu, nu=nu)

    stages = [measured, Renewal(due, renew, ("roots",)), update]
    how = {"merge": max_precond_dim if merge_dims else 0, "merge_from_end": True, "block": max_precond_dim}
    views = stack_views("scale_by_shampoo", weight_dimension_numbers, None, **how)
    return matrixwise(init, stages, views=views, like_params=["mu", "nu"] if squares else ["mu"])


@transformation(
    b2=CLOSED_UNIT,
    b3=UNIT,
    precondition_frequency=AT_LEAST_1,
    start_step=AT_LEAST_1,
    max_precond_dim=AT_LEAST_1,
    graft_b2=UNIT,
    graft_eps=NON_NEGATIVE,
)
def shampoo(
    learning_rate: ScalarOrSchedule = 1e-2,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 1.0,
    b3: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-12,
    weight_decay: AddedNumber = 0.0,
    precondition_frequency: int | Array = 1,
    start_step: int | Array | None = None,
    max_precond_dim: int = 1024,
    merge_dims: bool = True,
    graft: Graft | None = None,
    graft_b2: ScalarOrSchedule | None = None,
    graft_eps: ScalarOrSchedule | None = None,
    correct_bias: bool = True,
    mu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
    one_sided: bool = False,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Shampoo: p = p - learning_rate (L^{-1/4} m R^{-1/4} + weight_decay p), L and R sums of G G* and G* G.

    Defaults are those of the distributed implementation. In practice a graft, `graft="adam"` or "rmsprop",
    gives the steps a length that a rate tuned for that optimizer fits, and b2 = 0.95 to 0.999 forgets.

    Args:
        b2: decay of the factors, in [0, 1]; 1 sums them up.
        b3, eps, precondition_frequency, start_step, max_precond_dim, merge_dims: see `scale_by_shampoo`.
        graft, graft_b2, graft_eps, correct_bias, one_sided: see `scale_by_shampoo`.
        weight_dimension_numbers: see `scale_by_shampoo`.

    State: a chain's: `ScaleByShampooState`, the decay's, the learning rate's.
    Memory: 1 or 2 x the parameters, and 2 (rows^2 + columns^2) for each matrix.
    Reference: Shi et al., 2023, A Distributed Data-Parallel PyTorch Implementation of the Distributed
        Shampoo Optimizer, arXiv:2309.06497; Gupta, Koren and Singer, 2018, Shampoo: Preconditioned
        Stochastic Tensor Optimization, arXiv:1802.09568.

    Example:
        >>> tx, p = gc.shampoo(0.5, b1=0.0, merge_dims=False), jnp.zeros((2, 2))
        >>> p, _ = tx.step(jnp.array([[-4.0, 0.0], [0.0, -0.5]]), tx.init(p), p)
        >>> [[round(abs(x), 2) for x in row] for row in p.tolist()]  # both directions move by the rate
        [[0.5, 0.0], [0.0, 0.5]]
    """
    _check_graft("shampoo", graft)
    rule = scale_by_shampoo(
        b1,
        b2,
        b3,
        eps,
        precondition_frequency,
        start_step,
        max_precond_dim,
        merge_dims,
        graft,
        graft_b2,
        graft_eps,
        correct_bias,
        mu_dtype,
        nu_dtype=nu_dtype,
        one_sided=one_sided,
        weight_dimension_numbers=weight_dimension_numbers,
    )
    return chain(rule, *decoupled(weight_decay, weight_decay_mask), scale_by_learning_rate(learning_rate))
