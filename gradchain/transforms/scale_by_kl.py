"""The rules of KL-Shampoo and KL-SOAP: factors that are whitened by each other."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from ..core import (
    AT_LEAST_1,
    POSITIVE,
    UNIT,
    GradientTransformationExtraArgs,
    Renewal,
    matrixwise,
    transformation,
)
from ..core.matrices import gram
from ..core.numerics import abs_sq, accumulator_like, ema, ratio, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, Params
from .dimension_numbers import MuonDimensionNumbers, WeightDimNumOrFn, stack_views
from .kronecker import (
    eigenbasis,
    identity_factors,
    no_factors,
    power_step,
    rotated,
    rotated_back,
    with_factor,
)


class ScaleByKLState(NamedTuple):
    """State of `scale_by_kl_shampoo` and `scale_by_kl_soap`."""

    count: Count  # i32[]  calls; the first one only measures
    mu: Params  # like params, or mu_dtype; moving average of gradients, for KL-SOAP in the basis
    nu: Params  # for KL-SOAP like |params|, at least float32, or nu_dtype; squares; else [matrices, 0]
    factors: Params  # ([matrices, d, d] for rows and columns), at least float32
    bases: Params  # the same shapes; about their eigenvectors, in columns
    roots: Params  # ([matrices, d] for rows and columns), real; inverse roots of the eigenvalues


@transformation(shampoo_beta=UNIT, precondition_frequency=AT_LEAST_1, init_factor=POSITIVE)
def scale_by_kl_shampoo(
    b1: Hyperparameter = 0.9,
    shampoo_beta: Hyperparameter = 0.98,
    eps: Hyperparameter = 1e-8,
    precondition_frequency: int | Array = 10,
    normalize_grads: bool = False,
    init_factor: Hyperparameter = 0.1,
    max_root: Hyperparameter | None = 4000.0,
    mu_dtype: DTypeLike | None = None,
    *,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Multiplies averaged gradients by inverse roots of factors that are whitened by each other.

    L = b L + (1 - b) G R^{-1} G* / columns, and R likewise with L^{-1}, minimize a Kullback-Leibler
    divergence. Q are their eigenvectors, renewed by a step of the QR algorithm, l their eigenvalues, kept
    up to date at every step.
    u = Q_L (w Q_L* m Q_R / (1 + eps w)) Q_R*, w = (l_L l_R)^{-1/2}. The first call measures only.

    Args:
        b1: decay of m, in [0, 1).
        shampoo_beta: decay b of the factors and of their eigenvalues, in [0, 1).
        eps: bounds w by 1 / eps.
        precondition_frequency: calls between renewals of the bases, at least 1.
        normalize_grads: divides each matrix of the update by its root mean square.
        init_factor: the first eigenvalues, more than 0.
        max_root: bounds l^{-1/2} by max(10, min(d, max_root)) for an axis of size d; None bounds nothing.
        weight_dimension_numbers: as in `scale_by_muon`.

    State: `ScaleByKLState`. Memory: 1 x the parameters, and 2 (rows^2 + columns^2) for each matrix.
    Reference: Lin et al., 2025, Understanding and Improving Shampoo and SOAP via Kullback-Leibler
        Minimization, arXiv:2509.03378.

    Example:
        >>> tx, g = gc.scale_by_kl_shampoo(), jnp.array([[4.0, 0.0], [0.0, 1.0]])
        >>> state = tx.init(g)
        >>> for _ in range(2):  # the first call measures only
        ...     u, state = tx.update(g, state, g)
        ...     print(bool(jnp.any(u)))
        False
        True
    """

    def step(g: Array, s: ScaleByKLState) -> tuple[Array, Array, Array]:
        mu = ema(g, s.mu, b1)
        left, right = s.roots
        w = left[:, :, None] * right[:, None]
        return rotated_back(rotated(mu, s.bases) * (w / (1 + w * eps)), s.bases), mu, s.nu

    how = (shampoo_beta, precondition_frequency, normalize_grads, init_factor, max_root, mu_dtype)
    return _kl("scale_by_kl_shampoo", step, False, weight_dimension_numbers, *how)


@transformation(shampoo_beta=UNIT, precondition_frequency=AT_LEAST_1, init_factor=POSITIVE)
def scale_by_kl_soap(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.98,
    shampoo_beta: Hyperparameter | None = None,
    eps: Hyperparameter = 1e-8,
    precondition_frequency: int | Array = 10,
    normalize_grads: bool = False,
    init_factor: Hyperparameter = 0.1,
    max_root: Hyperparameter | None = 4000.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Rescales as Adam does, in the basis of KL-Shampoo's factors.

    h = Q_L* g Q_R;  m and v are the averages of h and |h|^2, not bias-corrected;
    u = Q_L (m / (sqrt(v) + eps)) Q_R*. The bases are those of `scale_by_kl_shampoo`.

    Args:
        b1, b2: decays of m and v, in [0, 1).
        shampoo_beta: decay of the factors, in [0, 1); None for `b2`.
        eps: added outside the square root, at least 0.
        precondition_frequency, normalize_grads, init_factor, max_root: see `scale_by_kl_shampoo`.
        weight_dimension_numbers: as in `scale_by_muon`.

    State: `ScaleByKLState`. Memory: 2 x the parameters, and 2 (rows^2 + columns^2) for each matrix.
    Reference: Lin et al., 2025, Understanding and Improving Shampoo and SOAP via Kullback-Leibler
        Minimization, arXiv:2509.03378.

    Example:
        >>> tx, g = gc.scale_by_kl_soap(), jnp.array([[4.0, 0.0], [0.0, 1.0]])
        >>> state = tx.init(g)
        >>> for _ in range(2):  # the first call measures only
        ...     u, state = tx.update(g, state, g)
        ...     print(bool(jnp.any(u)))
        False
        True
    """

    def step(g: Array, s: ScaleByKLState) -> tuple[Array, Array, Array]:
        h = rotated(g, s.bases)
        mu, nu = ema(h, s.mu, b1), ema(abs_sq(h), s.nu, b2)
        return rotated_back(mu / (sqrt(nu) + jnp.where(s.count > 1, eps, 1)), s.bases), mu, nu

    decay = b2 if shampoo_beta is None else shampoo_beta
    how = (decay, precondition_frequency, normalize_grads, init_factor, max_root, mu_dtype, nu_dtype)
    return _kl("scale_by_kl_soap", step, True, weight_dimension_numbers, *how)


def _kl(
    name: str,
    step: Callable[[Array, ScaleByKLState], tuple[Array, Array, Array]],
    in_basis: bool,
    numbers: WeightDimNumOrFn | None,
    decay: Any,
    frequency: Any,
    normalize_grads: bool,
    init_factor: Any,
    max_root: Any,
    mu_dtype: DTypeLike | None,
    nu_dtype: DTypeLike | None = None,
) -> GradientTransformationExtraArgs:
    """A rule whose update is `step(g, state) -> (u, mu, nu)`, from factors whitened by each other."""

    def init(p: Any) -> ScaleByKLState:
        real = accumulator_like(p).dtype
        return ScaleByKLState(
            count=0,
            mu=zeros_like(p, mu_dtype),
            nu=accumulator_like(p, nu_dtype) if in_basis else jnp.zeros((p.shape[0], 0), real),
            factors=no_factors(p, [True, True]),
            bases=identity_factors(p, [True, True]),
            roots=tuple(jnp.zeros((p.shape[0], d), real) + 1 / sqrt(init_factor) for d in p.shape[1:]),
        )

    def measured(s: ScaleByKLState) -> ScaleByKLState:
        return s._replace(bases=with_factor(eigenbasis, s.factors))

    def moved(s: ScaleByKLState) -> ScaleByKLState:
        bases = with_factor(power_step, s.factors, s.bases)
        mu = rotated(rotated_back(s.mu, s.bases), bases) if in_basis else s.mu
        return s._replace(mu=mu, bases=bases)

    def update(g: Array, s: ScaleByKLState, p: Array | None) -> tuple[Array, ScaleByKLState]:
        live = s.count > 1
        u, mu, nu = step(jnp.where(live, g, 0), s)
        if normalize_grads:
            u = u * ratio(1.0, sqrt(jnp.mean(abs_sq(u), (1, 2), keepdims=True)))
        _, rows, columns = g.shape
        left, right = s.roots
        in_both = rotated(g, s.bases)
        by_right = jnp.where(live, rotated(g, (None, s.bases[1])) * right[:, None], g)
        by_left = jnp.where(live, rotated(g, (s.bases[0], None)) * left[:, :, None], g)
        factors = (
            ema(gram(by_right, 0) / columns, s.factors[0], decay),
            ema(gram(by_left, 1) / rows, s.factors[1], decay),
        )
        means = (
            jnp.mean(abs_sq(in_both * right[:, None]), 2),
            jnp.mean(abs_sq(in_both * left[:, :, None]), 1),
        )
        moved = tuple(
            _root(ema(mean, ratio(1.0, r**2), decay), max_root)
            for mean, r in zip(means, s.roots, strict=True)
        )
        roots = tuple(jnp.where(live, new, old) for new, old in zip(moved, s.roots, strict=True))
        return u, s._replace(mu=mu, nu=nu, factors=factors, roots=roots)

    changed = ("mu", "bases") if in_basis else ("bases",)
    renewal = Renewal(lambda count: (count - 1) % frequency == 0, moved, changed, measured)
    views = stack_views(name, numbers, MuonDimensionNumbers())
    like = ["mu", "nu"] if in_basis else ["mu"]
    return matrixwise(init, [update, renewal], name=name, views=views, like_params=like)


def _root(values: Array, max_root: Any) -> Array:
    """values^{-1/2}, bounded; 0 where a value is 0."""
    root = ratio(1.0, sqrt(values))
    return (
        root
        if max_root is None
        else jnp.minimum(root, jnp.maximum(10, jnp.minimum(values.shape[-1], max_root)))
    )
