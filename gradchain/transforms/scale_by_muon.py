"""Muon's rule: momentum, orthogonalized, one matrix at a time."""

import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    UNIT,
    MatrixView,
    by_shape,
    cast,
    init_empty_state,
    is_none,
    nearest,
    transformation,
    treewise,
)
from ..core.lists import each_with
from ..core.numerics import ema, zeros_like
from ..core.types import Array, Count, DTypeLike, EmptyState, Hyperparameter, Numeric, Params, PyTree
from .dimension_numbers import MuonDimensionNumbers, WeightDimNumOrFn, stack_views
from .newton_schulz import PRECONDITIONINGS, Preconditioning, orthogonalized
from .polynomials import STANDARD, coefficients, preset
from .scale_by_adam import debiased_mean

Scaling = Literal["original", "match_rms_adamw", "spectral"]
SCALINGS = ("original", "match_rms_adamw", "spectral")


class MuonState(NamedTuple):
    """State of `scale_by_muon`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients
    ns_coeffs: Array  # f32[3] or f32[steps, 3]; of the Newton-Schulz polynomials


@transformation(beta=UNIT)
def scale_by_muon(
    ns_coeffs: Any = STANDARD,
    ns_steps: Numeric = 5,
    beta: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: Preconditioning = "frobenius",
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    ns_dtype: DTypeLike | None = None,
    debias: bool = True,
    heavy_ball: bool = False,
    gram: bool = False,
    sign: bool = False,
    low_precision: bool = False,
):
    """Replaces averaged gradients by the nearest matrices with singular values near 1.

    m = beta m + (1 - beta) g;  u = NS(m'), m' debiased as in `scale_by_adam` with `nesterov`. All
    matrices of one shape go through one batched iteration.

    Args:
        ns_coeffs: (a, b, c) of x = a x + (b A + c A^2) x, A = x x*; one such row for each step, of which
            the last `ns_steps` are used; or a name: "standard", "dion", "polar_express", with a margin for
            rounding "polar_express_safe" or "polar_express_refit", "cans", "twelve" (steps of 2, -1.5,
            0.5), "exact" (28 steps).
        ns_steps: how many iterations, but of "twelve" and "exact".
        beta: decay of m, in [0, 1).
        eps: added to the norm that divides each matrix before the iterations, at least 0.
        adaptive: True multiplies each matrix by <m', u>, the dual norm of m'.
        preconditioning: which norm divides each matrix: "frobenius", "spectral", "aol" or "schatten".
        weight_dimension_numbers: a `MuonDimensionNumbers`, a tree of them, or a function from the
            updates to one (`matrix_dimension_numbers`). None takes arrays of two axes only.
        ns_dtype: dtype of the iterations, by default at least float32.
        low_precision: True iterates in bfloat16 on accelerators, where it is fast; on CPUs in `ns_dtype`.
        debias: False gives the m' of Jordan's code and PyTorch: beta m + (1 - beta) g, or m.
        heavy_ball: True gives that of Moonlight: m = beta m + g, and m' = g + beta m, or m.
        gram: True iterates on Gram matrices, for matrices with many more columns than rows.
        sign: True orthogonalizes the signs of m', as AdaMuon does.

    State: `MuonState(count, mu, ns_coeffs)`. Memory: 1 x the parameters.
    Reference: Jordan et al., 2024, Muon: An optimizer for hidden layers in neural networks; Amsel et al.,
        2025, The Polar Express, arXiv:2505.16932.

    Example:
        >>> tx, g = gc.scale_by_muon(), jnp.array([[9.0, 1.0], [0.0, 2.0]])
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> bool(jnp.all(jnp.abs(jnp.linalg.svd(u)[1] - 0.9) < 0.3))  # singular values near 1
        True
    """
    if preconditioning not in PRECONDITIONINGS:
        known = ", ".join(map(repr, PRECONDITIONINGS))
        raise ValueError(f"scale_by_muon: preconditioning must be one of {known}, got {preconditioning!r}.")
    named = preset("scale_by_muon", ns_coeffs)
    margin = 1.0 if named is None else named.margin
    repeats = named is not None and not named.optax and named.steps is None

    def init(ps: list[Array]) -> MuonState:
        mu = [zeros_like(p, mu_dtype) for p in ps]
        return MuonState(count=0, mu=mu, ns_coeffs=coefficients("scale_by_muon", ns_coeffs, ns_steps))

    def momentum(g: Array, m: Array, count: Any) -> Array:
        return jnp.sign(averaged(g, m, count)) if sign else averaged(g, m, count)

    def averaged(g: Array, m: Array, count: Any) -> Array:
        if heavy_ball:
            return g + beta * m if nesterov else m
        if debias:
            return debiased_mean(g, m, beta, count, nesterov)
        return ema(g, m, beta) if nesterov else m

    def update(
        g: list[Array], s: MuonState, p: list[Array], *, settings: Sequence[MatrixView]
    ) -> tuple[list[Array], MuonState]:
        def iterated(x: Array, dtype: Any) -> Array:
            how = {"margin": margin, "gram": gram, "repeats": repeats}
            return cast(
                orthogonalized(cast(x, dtype), s.ns_coeffs, ns_steps, preconditioning, eps, **how), x.dtype
            )

        @jax.jit
        def orthogonal(x: Array) -> Array:
            wide = functools.partial(iterated, dtype=x.dtype if ns_dtype is None else ns_dtype)
            low = functools.partial(iterated, dtype=jnp.bfloat16)
            y = jax.lax.platform_dependent(x, cpu=wide, default=low) if low_precision else wide(x)
            return jnp.sum(jnp.conj(x) * y, axis=(1, 2), keepdims=True) * y if adaptive else y

        @functools.partial(jax.jit, static_argnums=0)
        def averaged_and_stacked(view: MatrixView, g: Array, m: Array) -> tuple[Array, Array]:
            m = beta * m + g if heavy_ball else ema(g, m, beta)
            return m, view.stack_wide(momentum(g, m, s.count))

        rows = [averaged_and_stacked(*row) for row in zip(settings, g, s.mu, strict=True)]
        mu, stacks = [m for m, _ in rows], [x for _, x in rows]
        u = each_with(lambda view, y: view.unstack_wide(y), settings, by_shape(orthogonal, stacks))
        return u, s._replace(mu=mu)

    views = matrix_views("scale_by_muon", weight_dimension_numbers)
    return treewise(init, update, needs_params=False, settings=views)


def matrix_views(name: str, given: WeightDimNumOrFn | None) -> Any:
    """The `settings` of rules for matrices: how to see each array of a tree as a stack of matrices."""
    stacks = stack_views(name, given, MuonDimensionNumbers())

    def views(tree: PyTree) -> PyTree:
        found = [view and view.matrix for view in stacks(tree)]
        return jax.tree.structure(tree, is_leaf=is_none).unflatten(found)

    return views


def check_scaling(name: str, scaling: Any) -> None:
    """Raises ValueError for an unknown scaling, with the nearest one."""
    if scaling not in SCALINGS:
        raise ValueError(
            f"{name}: scaling must be one of {', '.join(SCALINGS)}, received {scaling!r}."
            f"{nearest(str(scaling), SCALINGS)}"
        )


def scale_by_fans(
    numbers: WeightDimNumOrFn | None, consistent_rms: Numeric | None, scaling: Scaling = "original"
):
    """Times sqrt(max(1, columns / rows)), 0.2 sqrt(max(columns, rows)), or sqrt(columns / rows).

    A number for `consistent_rms` takes the place of 0.2.
    """

    def factor(rows: int, columns: int) -> Any:
        if consistent_rms is not None:
            return max(rows, columns) ** 0.5 * consistent_rms
        if scaling == "match_rms_adamw":
            return 0.2 * max(rows, columns) ** 0.5
        ratio = columns / max(rows, 1)
        return (max(1.0, ratio) if scaling == "original" else ratio) ** 0.5

    def update(
        g: list[Array], s: EmptyState, p: list[Array], *, settings: Sequence[MatrixView]
    ) -> tuple[list[Array], EmptyState]:
        return each_with(lambda view, g: factor(*view.shape[1:]) * g, settings, g), s

    views = matrix_views("muon", numbers)
    return treewise(init_empty_state, update, name="muon", needs_params=False, settings=views)
