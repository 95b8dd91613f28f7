"""PowerSGD: gradients are averaged over devices as products of two narrow factors."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    Axis,
    GradientTransformationExtraArgs,
    MatrixView,
    by_shape,
    check_axis,
    check_own_gradients,
    compute_dtype,
    either,
    is_none,
    leaves_like,
    means_at_once,
    transformation,
    treewise,
    typed_as,
    typed_like,
    uncut,
    varying,
    views_of,
)
from ..core.lists import each, each_with
from ..core.matrices import adjoint, basis_of, product
from ..core.numerics import key_of, wide_like
from ..core.types import Array, Count, Params, PyTree, Updates
from .dimension_numbers import MuonDimensionNumbers, WeightDimNumOrFn, dimension_numbers


class PowerSgdState(NamedTuple):
    """State of `power_sgd`."""

    count: Count  # i32[]  steps taken
    error: Params  # like params, at least float32; this device's own; [0] of what is not compressed
    q: Params  # [matrices, columns, rank], at least float32; the same on all devices


def _last_axis(tree: PyTree) -> PyTree:
    """Dimension numbers: the last axis against all others."""

    def numbers(x: Any) -> MuonDimensionNumbers | None:
        return MuonDimensionNumbers(tuple(range(jnp.ndim(x) - 1)), -1) if jnp.ndim(x) > 1 else None

    return jax.tree.map(numbers, tree)


@transformation
def power_sgd(
    rank: int = 4,
    axis: Axis = "data",
    *,
    start_iter: int = 0,
    min_compression_rate: int | float = 2,
    error_feedback: bool = True,
    key: int | Array = 0,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Averages gradients over devices at low rank: takes each device's own, gives all the same.

    M = g + e;  P = orth(mean(M Q));  R = M* P;  Q = mean(R);  u = P Q*;  e = M - P R*.

        tx = chain(power_sgd(4), sgd(0.1, momentum=0.9))  # inside jax.shard_map over "data"

    Two exchanges a step. e is what the device's own part lost. The paper's e also sums up what devices
    differ by, without end; the mean is the same, and so is u.

    Args:
        rank: of the averages, at least 1; at most the shorter side of a matrix.
        axis: the axis, or axes, of devices; None for one device, where nothing is sent.
        start_iter: steps that average whole gradients first.
        min_compression_rate: a matrix is compressed if its factors have this much less entries; all else
            is averaged as it is.
        error_feedback: False forgets e.
        key: a random key, or an integer seed, from which Q begins.
        weight_dimension_numbers: what is a matrix, and how, as in `scale_by_muon`; by default arrays of two
            axes or more, the last one against all others.

    State: `PowerSgdState(count, error, q)`; error differs from device to device. Memory: 1 x the parameters
        in float32, and columns x rank for each matrix.
    Raises: ValueError outside of the axis, and for gradients that are summed already.
    Reference: Vogels et al., 2019, PowerSGD: Practical Low-Rank Gradient Compression for Distributed
        Optimization, arXiv:1905.13727.

    Example:
        >>> tx = gc.power_sgd(1, min_compression_rate=0)
        >>> g = jnp.array([[[1.0, 2.0], [2.0, 4.0]]])  # one device's, of rank 1
        >>> state = jax.vmap(tx.init, axis_name="data")(g)
        >>> u, _ = jax.vmap(tx.update, axis_name="data")(g, state)
        >>> [[round(x, 3) for x in row] for row in u[0].tolist()]
        [[1.0, 2.0], [2.0, 4.0]]
    """
    check_axis("power_sgd", axis)
    for argument, value, least in (("rank", rank, 1), ("start_iter", start_iter, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(
                f"power_sgd: {argument} must be a whole number of at least {least}, received {value!r}."
            )
    if not isinstance(min_compression_rate, (int, float)) or not 0 <= min_compression_rate < math.inf:
        raise ValueError(
            "power_sgd: min_compression_rate must be a number, finite and at least 0, received "
            f"{min_compression_rate!r}: it decides the shapes in the state."
        )
    given = _last_axis if weight_dimension_numbers is None else weight_dimension_numbers

    def rank_of(view: MatrixView) -> int:
        return min(rank, *view.shape[1:])

    def views(tree: PyTree) -> PyTree:
        """How each leaf is a stack of matrices; None where it is averaged as it is."""
        numbers = dimension_numbers(given, tree)
        every = leaves_like("power_sgd", "gradient", tree, "dimension numbers", numbers)

        def view(i: int, shape: tuple[int, ...]) -> Any:
            if every[i] is None:
                return None
            seen = MatrixView.of("power_sgd", shape, every[i])
            sent = rank_of(seen) * sum(seen.shape[1:])
            saves = math.prod(seen.shape[1:]) > sent * min_compression_rate
            return seen if saves and math.prod(seen.shape) else None

        treedef = jax.tree.structure(tree, is_leaf=is_none)
        return treedef.unflatten(views_of("power_sgd", tree, view))

    def init(p: list[Any], settings: list[MatrixView | None]) -> PowerSgdState:
        def error(x: Any, view: MatrixView | None) -> Array:
            return jnp.zeros((0,), compute_dtype(x.dtype)) if view is None else wide_like(x)

        def q(i: int, x: Any, view: MatrixView | None) -> Array:
            if view is None:
                return jnp.zeros((0, 0, 0), compute_dtype(x.dtype))
            stacked, _, columns = view.shape
            shape = stacked, columns, rank_of(view)
            # Drawn in float32 always: the same numbers for every dtype
            normal = jax.random.normal(jax.random.fold_in(key_of(key), i), shape, jnp.float32)
            return normal.astype(compute_dtype(x.dtype))

        rows = list(zip(p, settings, strict=True))
        return PowerSgdState(0, [error(*row) for row in rows], [q(i, *row) for i, row in enumerate(rows)])

    def update(
        g: list[Array], s: PowerSgdState, p: list[Any], settings: list[MatrixView | None]
    ) -> tuple[list[Array], PowerSgdState]:
        matrices = [i for i, view in enumerate(settings) if view is not None]
        others = [i for i, view in enumerate(settings) if view is None]
        views = [settings[i] for i in matrices]

        def narrow() -> tuple[list[Array], Any, Any]:
            m = each_with(_with_error, views, [g[i] for i in matrices], [s.error[i] for i in matrices])
            parts = each(product, m, [s.q[i] for i in matrices])
            means = means_at_once(axis, parts + [g[i] for i in others])
            left = by_shape(basis_of, means[: len(m)])
            own = each(lambda m, left: product(adjoint(m), left), m, left)
            right = means_at_once(axis, own)
            u, error, q = list(g), list(s.error), list(s.q)
            for i, mean in zip(others, means[len(m) :], strict=True):
                u[i] = mean
            for i, mean in zip(matrices, each_with(_product, views, left, right), strict=True):
                u[i] = mean
            lost = each_with(_lost, views, m, left, own) if error_feedback else []
            for i, more in zip(matrices, lost, strict=error_feedback):
                error[i] = more
            for i, new in zip(matrices, right, strict=True):
                q[i] = new
            return u, typed_as(error, s.error), typed_as(q, s.q)

        def whole() -> tuple[list[Array], Any, Any]:
            return means_at_once(axis, g), s.error, s.q

        like = g, s.error, s.q
        u, error, q = either(s.count > start_iter, narrow, whole, like) if start_iter else narrow()
        return u, s._replace(error=error, q=q)

    rule = treewise(init, update, needs_params=False, like_params=False, settings=views)

    def init_here(params: Params) -> PowerSgdState:
        state: Any = rule.init(params)
        return state._replace(error=varying(state.error, axis, params))

    def update_here(
        updates: Updates, state: PowerSgdState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, PowerSgdState]:
        check_own_gradients("power_sgd", updates, axis)
        result, new = rule.update(uncut(updates), uncut(state), params, **extra_args)
        return typed_like(result, updates), typed_like(new, state)  # type: ignore[return-value]

    return GradientTransformationExtraArgs(init_here, update_here)


def _with_error(view: MatrixView, g: Array, error: Array) -> Array:
    return view.stack(g + error)


def _product(view: MatrixView, left: Array, right: Array) -> Array:
    return view.unstack(product(left, adjoint(right)))


def _lost(view: MatrixView, m: Array, left: Array, own: Array) -> Array:
    return view.unstack(m - product(left, adjoint(own)))
