"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from ..core import AT_LEAST_1, UNIT, Renewal, chain, matrixwise, transformation
from ..core.matrices import gram
from ..core.numerics import abs_sq, accumulator_like, ema, ratio, sqrt, weight_after, zeros_like
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
from ..transforms.decay import decoupled_last
from ..transforms.dimension_numbers import WeightDimNumOrFn, stack_views
from ..transforms.kronecker import (
    eigenbasis,
    eigenvalue_order,
    factored_axes,
    identity_factors,
    no_factors,
    power_step,
    remark_on_axes,
    rotated,
    rotated_back,
    taken,
    with_factor,
)
from ..transforms.scaling import scale_by_learning_rate


class ScaleBySoapState(NamedTuple):
    """State of `scale_by_soap`."""

    count: Count  # i32[]  calls; the first one only measures
    mu: Params  # like params, or mu_dtype; moving average of gradients, in the basis
    nu: Params  # like |params|, at least float32, or nu_dtype; that of squares, in the basis
    factors: Params  # [arrays, d, d] for each stack and axis, at least float32; moving average of G G*
    bases: Params  # the same shapes; their eigenvectors in columns


@transformation(shampoo_beta=UNIT, precondition_frequency=AT_LEAST_1, max_precond_dim=AT_LEAST_1)
def scale_by_soap(
    b1: Hyperparameter = 0.95,
    b2: Hyperparameter = 0.95,
    shampoo_beta: Hyperparameter | None = None,
    eps: Hyperparameter = 1e-8,
    precondition_frequency: int | Array = 10,
    max_precond_dim: int = 10_000,
    merge_dims: bool = False,
    precondition_1d: bool = False,
    normalize_grads: bool = False,
    correct_bias: bool = True,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
    one_sided: bool = False,
    block_size: int = 0,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Rescales as Adam does, in the basis in which Shampoo's factors are diagonal.

    For each axis A = shampoo_beta A + (1 - shampoo_beta) G G*, G being the gradient unfolded along it, and
    Q its eigenvectors. h = Q_L* g Q_R;  m and v are the averages of h and |h|^2;
    u = Q_L (m' / (sqrt(v') + eps)) Q_R*, bias-corrected. The first call measures A and gives no update.

    Args:
        shampoo_beta: decay of A, in [0, 1); None takes `b2`.
        precondition_frequency: the basis takes a step of the QR algorithm every so many calls, at least 1.
        max_precond_dim: a longer axis keeps its basis, the identity.
        merge_dims: merges neighbouring axes while their product is at most `max_precond_dim`.
        precondition_1d: vectors have a basis too; by default they get Adam's update.
        normalize_grads: divides each array of the update by its root mean square.
        correct_bias: corrects m and v for their start at zero.
        one_sided: of a matrix only the shorter side has a basis.
        block_size: cuts axes into blocks of at most this size, each with a basis of its own; 0 cuts none.
        weight_dimension_numbers: which axes are rows and columns, as in `scale_by_muon`; None gives each
            axis of an array a basis.

    State: `ScaleBySoapState`. Memory: 2 x the parameters, and 2 (rows^2 + columns^2) for each matrix.
    Reference: Vyas et al., 2024, SOAP: Improving and Stabilizing Shampoo using Adam, arXiv:2409.11321.

    Example:
        >>> tx, g = gc.scale_by_soap(), jnp.array([[4.0, 4.0], [4.0, 4.0]])
        >>> state = tx.init(g)
        >>> for _ in range(2):  # the first call measures; in its eigenbasis g has one entry
        ...     u, state = tx.update(g, state, g)
        ...     print([[round(x, 2) for x in row] for row in u.tolist()])
        [[0.0, 0.0], [0.0, 0.0]]
        [[0.5, 0.5], [0.5, 0.5]]
    """
    decay = b2 if shampoo_beta is None else shampoo_beta

    def axes_of(dims: Sequence[int]) -> list[bool]:
        return factored_axes(dims, max_precond_dim, one_sided, precondition_1d)

    def init(p: Any) -> ScaleBySoapState:
        axes = axes_of(p.shape[1:])
        return ScaleBySoapState(
            count=0,
            mu=zeros_like(p, mu_dtype),
            nu=accumulator_like(p, nu_dtype),
            factors=no_factors(p, axes),
            bases=identity_factors(p, axes),
        )

    def update(g: Array, s: ScaleBySoapState, p: Array | None) -> tuple[Array, ScaleBySoapState]:
        steps = s.count - 1
        h = jnp.where(steps > 0, rotated(g, s.bases), 0)
        mu, nu = ema(h, s.mu, b1), ema(abs_sq(h), s.nu, b2)
        u = rotated_back(mu / (sqrt(nu) + jnp.where(steps > 0, eps, 1)), s.bases)
        if correct_bias:
            n = jnp.maximum(steps, 1)
            u = u * sqrt(weight_after(n, b2)) / weight_after(n, b1)
        if normalize_grads:
            mean = jnp.mean(abs_sq(u), tuple(range(1, u.ndim)), keepdims=True)
            u = u * ratio(1.0, sqrt(mean))
        factors = with_factor(lambda a, axis: ema(gram(g, axis), a, decay), s.factors, range(g.ndim - 1))

        return u, s._replace(mu=mu, nu=nu, factors=factors)

    def measured(s: ScaleBySoapState) -> ScaleBySoapState:
        return s._replace(bases=with_factor(eigenbasis, s.factors))

    def moved(s: ScaleBySoapState) -> ScaleBySoapState:
        orders = with_factor(eigenvalue_order, s.factors, s.bases)
        nu = s.nu
        for axis, order in enumerate(orders):
            nu = nu if order is None else taken(nu, order, axis)
        sorted_bases = with_factor(lambda q, order: taken(q, order, 1), s.bases, orders)
        bases = with_factor(power_step, s.factors, sorted_bases)
        mu = rotated(rotated_back(s.mu, s.bases), bases)
        return s._replace(mu=mu, nu=nu, bases=bases)

    renewal = Renewal(
        lambda count: (count - 1) % precondition_frequency == 0, moved, ("mu", "nu", "bases"), measured
    )
    how = {"merge": max_precond_dim if merge_dims else 0, "block": block_size}
    views = stack_views("scale_by_soap", weight_dimension_numbers, None, **how)
    remark = remark_on_axes(axes_of)
    return matrixwise(init, [update, renewal], views=views, like_params=["mu", "nu"], remark=remark)


@transformation(shampoo_beta=UNIT, precondition_frequency=AT_LEAST_1, max_precond_dim=AT_LEAST_1)
def soap(
    learning_rate: ScalarOrSchedule = 3e-3,
    b1: ScalarOrSchedule = 0.95,
    b2: ScalarOrSchedule = 0.95,
    shampoo_beta: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: AddedNumber = 0.01,
    precondition_frequency: int | Array = 10,
    max_precond_dim: int = 10_000,
    merge_dims: bool = False,
    precondition_1d: bool = False,
    normalize_grads: bool = False,
    correct_bias: bool = True,
    mu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
    one_sided: bool = False,
    block_size: int = 0,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """SOAP: p = (p - learning_rate u) (1 - learning_rate weight_decay), u Adam's update in an eigenbasis.

    Vectors and scalars get Adam's update. Embeddings and heads are best left to AdamW:
    `partition({"matrix": soap(3e-3), "rest": adamw(3e-3)}, matrix_labels())`.

    Args:
        b1, b2: decays of the moments in the basis, in [0, 1).
        shampoo_beta, precondition_frequency, max_precond_dim, merge_dims, precondition_1d: see
            `scale_by_soap`.
        normalize_grads, correct_bias, one_sided, block_size, weight_dimension_numbers: see `scale_by_soap`.
        weight_decay: of the parameters after their step, times the learning rate.

    State: a chain's: `ScaleBySoapState`, the learning rate's, the decay's.
    Memory: 2 x the parameters, and 2 (rows^2 + columns^2) for each matrix.
    Reference: Vyas et al., 2024, SOAP: Improving and Stabilizing Shampoo using Adam, arXiv:2409.11321.

    Example:
        >>> tx, p = gc.soap(0.5, weight_decay=0.0), jnp.zeros((2, 2))
        >>> state = tx.init(p)
        >>> for _ in range(2):  # the first call measures only
        ...     p, state = tx.step(-jnp.eye(2), state, p)
        ...     print(bool(jnp.any(p)))
        False
        True
    """
    return chain(
        scale_by_soap(
            b1,
            b2,
            shampoo_beta,
            eps,
            precondition_frequency,
            max_precond_dim,
            merge_dims,
            precondition_1d,
            normalize_grads,
            correct_bias,
            mu_dtype,
            nu_dtype=nu_dtype,
            one_sided=one_sided,
            block_size=block_size,
            weight_dimension_numbers=weight_dimension_numbers,
        ),
        scale_by_learning_rate(learning_rate),
        *decoupled_last(learning_rate, weight_decay, weight_decay_mask, from_the_second=True),
    )
