"""Muon's rule: momentum, orthogonalized, one matrix at a time."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp

from ..core.chain import init_empty_state
from ..core.dtypes import cast, dtype_of, relaxed_promotion, widen
from ..core.errors import LeafError, path_of_leaf
from ..core.hyperparameters import UNIT
from ..core.lift import is_none, leafwise, scaled
from ..core.matrices import MatrixView, by_shape
from ..core.numerics import debias, ema, one_minus, safe_increment, zeros_like
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import EmptyState, Numeric, OptState, Params, PyTree, ScalarOrSchedule, Updates
from ..core.whole import Present, at
from .newton_schulz import PRECONDITIONINGS, Preconditioning, orthogonalized

STANDARD = (3.4445, -4.7750, 2.0315)
DION = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a parameter are a matrix's rows and columns; the others count matrices.

    A convolution kernel (height, width, in, out) as one matrix is `MuonDimensionNumbers((0, 1, 2), 3)`.
    """

    reduction_axis: Sequence[int] | int = 0  # summed over in the forward pass: the inputs
    output_axis: Sequence[int] | int = 1


WeightDimNumOrFn = Union[MuonDimensionNumbers, Params, Callable[[Params], Params | None]]


class MuonState(NamedTuple):
    """State of `scale_by_muon`."""

    count: jax.Array  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients
    ns_coeffs: jax.Array  # f32[3] or f32[steps, 3]; of the Newton-Schulz polynomials


PER_MATRIX = MuonDimensionNumbers(-2, -1)


def _is_numbers(x: Any) -> bool:
    return x is None or isinstance(x, MuonDimensionNumbers)


def per_matrix(params: Params) -> PyTree:
    """The dimension numbers that see every array as matrices in its last two axes; None for vectors."""
    return jax.tree.map(lambda p: PER_MATRIX if jnp.ndim(p) >= 2 else None, params)


def dimension_numbers(given: WeightDimNumOrFn | None, tree: PyTree) -> PyTree:
    """The dimension numbers of every leaf of a tree; None where a leaf is no matrix."""
    if given is None:
        given = per_matrix
    numbers = given if isinstance(given, MuonDimensionNumbers) or not callable(given) else given(tree)
    return jax.tree.map(
        lambda d, node: jax.tree.map(lambda _: d, node, is_leaf=is_none), numbers, tree, is_leaf=_is_numbers
    )


def _views(present: Present, given: WeightDimNumOrFn | None) -> tuple[MatrixView, ...]:
    """How each gradient is a stack of matrices."""
    every = present.all_of("dimension numbers", dimension_numbers(given, present.updates))
    views = []
    for i in present.places:
        try:
            numbers = every[i] if isinstance(every[i], MuonDimensionNumbers) else MuonDimensionNumbers()
            views.append(MatrixView.of(present.name, present.leaves[i].shape, numbers))
        except LeafError as error:
            raise error.at(path_of_leaf(present.updates, i)) from None
    return tuple(views)


@transformation(beta=UNIT)
def scale_by_muon(
    ns_coeffs: Any = STANDARD,
    ns_steps: int | jax.Array = 5,
    beta: ScalarOrSchedule = 0.95,
    eps: ScalarOrSchedule = 1e-8,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: Preconditioning = "frobenius",
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    ns_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """Replaces averaged gradients by the nearest matrices with singular values near 1.

    m = beta m + (1 - beta) g;  u = NS(m'), m' debiased as in `scale_by_adam` with `nesterov`. All
    matrices of one shape go through one batched iteration.

    Args:
        ns_coeffs: (a, b, c) of x = a x + (b A + c A^2) x, A = x x*; or one such row for each step.
        ns_steps: iterations; of rows, the last `ns_steps`.
        beta: decay of m, in [0, 1).
        eps: added to the norm a matrix is divided by first, at least 0.
        mu_dtype: dtype of m, by default the parameter's.
        nesterov: Nesterov momentum.
        adaptive: times <m', u>, the dual norm, for each matrix.
        preconditioning: that norm: "frobenius", "spectral", "aol" or "schatten".
        weight_dimension_numbers: a `MuonDimensionNumbers`, a tree of them, or a function from the
            updates to one; None sees matrices in the last two axes.
        ns_dtype: dtype to iterate in ("bfloat16" is fast on accelerators), by default at least float32.

    State: `MuonState(count, mu, ns_coeffs)`. Memory: 1 x the parameters.
    Reference: Jordan et al., 2024, Muon: An optimizer for hidden layers in neural networks; Bernstein
        and Newhouse, 2024, Old Optimizer, New Norm, arXiv:2409.20325.
    """
    if preconditioning not in PRECONDITIONINGS:
        known = ", ".join(map(repr, PRECONDITIONINGS))
        raise ValueError(f"scale_by_muon: preconditioning must be one of {known}, got {preconditioning!r}.")

    def init(params: Params) -> MuonState:
        coefficients = jnp.asarray(ns_coeffs, dtype=float)
        if coefficients.ndim not in (1, 2) or coefficients.shape[-1] != 3:
            raise ValueError(
                f"scale_by_muon: ns_coeffs must have shape (3,) or (n, 3), received {coefficients.shape}."
            )
        if coefficients.ndim == 2:
            if len(coefficients) < ns_steps:
                raise ValueError(
                    f"scale_by_muon: {ns_steps} steps need as many rows of ns_coeffs, received "
                    f"{len(coefficients)}."
                )
            coefficients = coefficients[-ns_steps:]
        mu = jax.tree.map(lambda p: zeros_like(p, mu_dtype), params)
        return MuonState(jnp.zeros([], jnp.int32), mu, coefficients)

    @functools.partial(jax.jit, static_argnums=0)
    def step(views: tuple[MatrixView, ...], gs: Any, ms: Any, count: Any, coefficients: Any) -> Any:
        t, decay, tiny = safe_increment(count), at(beta, count), at(eps, count)

        @functools.partial(jax.jit, static_argnums=0)
        def average(view: MatrixView, g: Any, m: Any) -> tuple[Any, Any]:
            new = ema(widen(g), widen(m), decay)
            if nesterov:
                ahead = decay * debias(new, decay, t + 1) + one_minus(decay) * debias(widen(g), decay, t)
            else:
                ahead = debias(new, decay, t)
            return view.stack_wide(ahead), cast(new, dtype_of(m))

        @jax.jit
        def orthogonal(x: Any) -> jax.Array:
            low = x if ns_dtype is None else cast(x, ns_dtype)
            y = cast(orthogonalized(low, coefficients, ns_steps, preconditioning, tiny), x.dtype)
            if adaptive:
                y = jnp.sum(jnp.conj(x) * y, axis=(1, 2), keepdims=True) * y
            return y

        @functools.partial(jax.jit, static_argnums=0)
        def back(view: MatrixView, g: Any, y: Any) -> jax.Array:
            return cast(view.unstack_wide(y), dtype_of(g))

        with relaxed_promotion():
            pairs = [average(*row) for row in zip(views, gs, ms, strict=True)]
            ys = by_shape(orthogonal, [x for x, _ in pairs])
            us = [back(*row) for row in zip(views, gs, ys, strict=True)]
        return us, [m for _, m in pairs]

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MuonState]:
        del extra_args
        present = Present("scale_by_muon", updates, params)
        ms = present.of("state's mu", state.mu)
        views = _views(present, weight_dimension_numbers)
        us, ms = step(views, present.gs, ms, state.count, state.ns_coeffs)
        return present.put(us, updates), MuonState(
            safe_increment(state.count), present.put(ms, state.mu), state.ns_coeffs
        )

    return GradientTransformationExtraArgs(init, update)


def scale_by_fans(
    numbers: WeightDimNumOrFn | None, consistent_rms: Numeric | None
) -> GradientTransformationExtraArgs:
    """Times sqrt(max(1, columns / rows)), or sqrt(max(columns, rows)) consistent_rms."""

    def factor(view: MatrixView) -> Any:
        _, rows, columns = view.shape
        if consistent_rms is None:
            return max(1.0, columns / max(rows, 1)) ** 0.5
        return max(rows, columns) ** 0.5 * consistent_rms

    def rule(g: Any, s: EmptyState, p: Any) -> tuple[Any, tuple[()]]:
        del s, p
        return factor(MatrixView.of("muon", g.shape, PER_MATRIX)) * g, ()

    if numbers is None:  # a rule for one array, which the chain runs together with the next ones
        return leafwise(EmptyState, lambda p: (), rule, name="muon")

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        present = Present("muon", updates, params)
        views = _views(present, numbers)
        us = [scaled(g, factor(view)) for view, g in zip(views, present.gs, strict=True)]
        return present.put(us, updates), state

    return GradientTransformationExtraArgs(init_empty_state, update)
