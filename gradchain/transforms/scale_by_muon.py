"""Muon's rule: momentum, orthogonalized, one matrix at a time."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..core import (
    UNIT,
    LeafError,
    MatrixView,
    by_shape,
    cast,
    init_empty_state,
    is_absent,
    is_none,
    leaves_like,
    path_of_leaf,
    transformation,
    treewise,
)
from ..core.lists import each, each_with
from ..core.numerics import ema, zeros_like
from ..core.types import Array, Count, DTypeLike, EmptyState, Hyperparameter, Numeric, Params, PyTree
from .newton_schulz import PRECONDITIONINGS, Preconditioning, orthogonalized
from .scale_by_adam import debiased_mean

STANDARD = (3.4445, -4.7750, 2.0315)
DION = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a parameter are the rows and columns of a matrix; other axes stack matrices.

    A convolution kernel (height, width, in, out) as one matrix is `MuonDimensionNumbers((0, 1, 2), 3)`.
    """

    reduction_axis: Sequence[int] | int = 0  # summed over in the forward pass: the inputs
    output_axis: Sequence[int] | int = 1


WeightDimNumOrFn = Union[MuonDimensionNumbers, Params, Callable[[Params], Params | None]]


class MuonState(NamedTuple):
    """State of `scale_by_muon`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients
    ns_coeffs: Array  # f32[3] or f32[steps, 3]; of the Newton-Schulz polynomials


def _is_numbers(x: Any) -> bool:
    return x is None or isinstance(x, MuonDimensionNumbers)


def matrices_only(params: Params) -> PyTree:
    """The dimension numbers for which arrays with two axes are matrices; None for all others."""
    return jax.tree.map(lambda p: MuonDimensionNumbers() if jnp.ndim(p) == 2 else None, params)


def dimension_numbers(given: WeightDimNumOrFn | None, tree: PyTree) -> PyTree:
    """The dimension numbers of every leaf of a tree; None where a leaf is no matrix."""
    if given is None:
        given = matrices_only
    numbers = given if isinstance(given, MuonDimensionNumbers) or not callable(given) else given(tree)
    return jax.tree.map(
        lambda d, node: jax.tree.map(lambda _: d, node, is_leaf=is_none), numbers, tree, is_leaf=_is_numbers
    )


def _views(given: WeightDimNumOrFn | None) -> Callable[[PyTree], PyTree]:
    """The `settings` of Muon's rules: how to see each array of a tree as a stack of matrices."""

    def views(tree: PyTree) -> PyTree:
        leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
        every = leaves_like(
            "scale_by_muon", "gradient", tree, "dimension numbers", dimension_numbers(given, tree)
        )
        found: list[MatrixView | None] = []
        for i, (x, numbers) in enumerate(zip(leaves, every, strict=True)):
            try:
                numbers = numbers if isinstance(numbers, MuonDimensionNumbers) else MuonDimensionNumbers()
                found.append(
                    None if is_absent(x) else MatrixView.of("scale_by_muon", jnp.shape(x), numbers)
                )
            except LeafError as error:
                raise error.at(path_of_leaf(tree, i)) from None
        return treedef.unflatten(found)

    return views


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
):
    """Replaces averaged gradients by the nearest matrices with singular values near 1.

    m = beta m + (1 - beta) g;  u = NS(m'), m' debiased as in `scale_by_adam` with `nesterov`. All
    matrices of one shape go through one batched iteration.

    Args:
        ns_coeffs: (a, b, c) of x = a x + (b A + c A^2) x, A = x x*; or one such row for each step.
        ns_steps: how many iterations; if there are more rows, the last ones are used.
        beta: decay of m, in [0, 1).
        eps: added to the norm that divides each matrix before the iterations, at least 0.
        adaptive: True multiplies each matrix by <m', u>, the dual norm of m'.
        preconditioning: which norm divides each matrix: "frobenius", "spectral", "aol" or "schatten".
        weight_dimension_numbers: a `MuonDimensionNumbers`, a tree of them, or a function from the
            updates to one. None takes all arrays as matrices and allows two axes only.
        ns_dtype: dtype of the iterations, by default at least float32; "bfloat16" is fast on accelerators.

    State: `MuonState(count, mu, ns_coeffs)`. Memory: 1 x the parameters.
    Reference: Jordan et al., 2024, Muon: An optimizer for hidden layers in neural networks; Bernstein
        and Newhouse, 2024, Old Optimizer, New Norm, arXiv:2409.20325.
    """
    if preconditioning not in PRECONDITIONINGS:
        known = ", ".join(map(repr, PRECONDITIONINGS))
        raise ValueError(f"scale_by_muon: preconditioning must be one of {known}, got {preconditioning!r}.")

    def init(ps: list[Array]) -> MuonState:
        mu = [zeros_like(p, mu_dtype) for p in ps]
        return MuonState(count=0, mu=mu, ns_coeffs=_rows("scale_by_muon", ns_coeffs, ns_steps))

    def update(
        g: list[Array], s: MuonState, p: list[Array], *, settings: Sequence[MatrixView]
    ) -> tuple[list[Array], MuonState]:
        @jax.jit
        def orthogonal(x: Array) -> Array:
            low = x if ns_dtype is None else cast(x, ns_dtype)
            y = cast(orthogonalized(low, s.ns_coeffs, ns_steps, preconditioning, eps), x.dtype)
            return jnp.sum(jnp.conj(x) * y, axis=(1, 2), keepdims=True) * y if adaptive else y

        mu = each(lambda g, m: ema(g, m, beta), g, s.mu)
        stacks = each_with(
            lambda view, g, m: view.stack_wide(debiased_mean(g, m, beta, s.count, nesterov)),
            settings,
            g,
            mu,
        )
        u = each_with(lambda view, y: view.unstack_wide(y), settings, by_shape(orthogonal, stacks))
        return u, s._replace(mu=mu)

    return treewise(init, update, needs_params=False, settings=_views(weight_dimension_numbers))


def _rows(name: str, ns_coeffs: Any, ns_steps: Numeric) -> Array:
    """The coefficients as an array, (3,) or (ns_steps, 3), from the last `ns_steps` rows."""
    coefficients = jnp.asarray(ns_coeffs, dtype=float)
    if coefficients.ndim not in (1, 2) or coefficients.shape[-1] != 3:
        raise ValueError(
            f"{name}: ns_coeffs must have shape (3,) or (n, 3), received {coefficients.shape}."
        )
    if coefficients.ndim == 1 or isinstance(ns_steps, Tracer):
        return coefficients
    if len(coefficients) < ns_steps:
        raise ValueError(
            f"{name}: {ns_steps} steps need as many rows of ns_coeffs, received {len(coefficients)}."
        )
    return coefficients[-ns_steps:]


def scale_by_fans(numbers: WeightDimNumOrFn | None, consistent_rms: Numeric | None):
    """Times sqrt(max(1, columns / rows)), or sqrt(max(columns, rows)) consistent_rms."""

    def update(
        g: list[Array], s: EmptyState, p: list[Array], *, settings: Sequence[MatrixView]
    ) -> tuple[list[Array], EmptyState]:
        def scale(view: MatrixView, g: Array) -> Array:
            _, rows, columns = view.shape
            if consistent_rms is None:
                return max(1.0, columns / max(rows, 1)) ** 0.5 * g
            return max(rows, columns) ** 0.5 * consistent_rms * g

        return each_with(scale, settings, g), s

    return treewise(init_empty_state, update, name="muon", needs_params=False, settings=_views(numbers))
