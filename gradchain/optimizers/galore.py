"""GaLore: another optimizer, run on low-rank projections of the gradients."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp

from ..core import (
    FINITE,
    GradientTransformation,
    GradientTransformationExtraArgs,
    LeafError,
    Leaves,
    MatrixView,
    cast,
    chain,
    compiled,
    dtype_of,
    dtype_of_step,
    is_inexact,
    is_none,
    leaves_like,
    path_of_leaf,
    transformation,
    typed_like,
    uncut,
    widen,
    with_extra_args_support,
)
from ..core.numerics import safe_increment
from ..core.types import (
    Array,
    Count,
    MaskOrFn,
    Numeric,
    OptState,
    Params,
    PyTree,
    ScalarOrSchedule,
    Updates,
)
from ..transforms import add_decayed_weights, scale_by_adam, scale_by_learning_rate


class GaLoreDimensionNumbers(NamedTuple):
    """Which axes of a parameter are the rows and the columns of the matrix that is projected."""

    reduction_axis: Union[Sequence[int], int] = 0
    output_axis: Union[Sequence[int], int] = 1


GaLoreDimNumsOrFn = Union[GaLoreDimensionNumbers, Params, Callable[[Params], Params | None]]


class GaLoreState(NamedTuple):
    """State of `scale_by_galore`."""

    count: Count  # i32[]  steps taken
    base_optimizer_state: OptState  # the base optimizer's, over projected parameters
    projector: Params  # (longer side, rank) for each projected parameter, (0, 0) for others


def _numbers(given: GaLoreDimNumsOrFn | None, tree: PyTree) -> PyTree:
    if callable(given):
        return given(tree)
    if given is None:
        return jax.tree.map(lambda p: GaLoreDimensionNumbers() if jnp.ndim(p) == 2 else None, tree)
    if isinstance(given, GaLoreDimensionNumbers):
        return jax.tree.map(lambda p: given if jnp.ndim(p) >= 2 else None, tree)
    return given


class _Projection(NamedTuple):
    """How one parameter is projected."""

    view: MatrixView
    left: bool  # the rows are projected, not the columns
    rank: int

    @classmethod
    def of(
        cls, shape: tuple[int, ...], numbers: GaLoreDimensionNumbers | None, rank: int
    ) -> "_Projection | None":
        if numbers is None:
            return None
        view = MatrixView.of("scale_by_galore", shape, numbers)
        stacked, rows, columns = view.shape
        if stacked != 1:
            raise LeafError(
                "scale_by_galore",
                f"{{leaf}} has shape {shape} and its {numbers!r} leave out axes; name every axis.",
            )
        return cls(view, rows >= columns, min(rank, rows, columns))

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The shapes of the projector and of the projected parameter."""
        _, rows, columns = self.view.shape
        if self.left:
            return (rows, self.rank), (self.rank, columns)
        return (columns, self.rank), (rows, self.rank)

    def basis(self, g: Array) -> Array:
        """The leading singular vectors of the longer side."""
        left, _, right = jnp.linalg.svd(self.view.stack(widen(g))[0], full_matrices=False)
        vectors = left[:, : self.rank] if self.left else jnp.conj(right[: self.rank]).T
        return cast(vectors, dtype_of(g))

    def project(self, g: Array, q: Array) -> Array:
        """The gradient in the basis `q`."""
        x, q = self.view.stack(widen(g))[0], widen(q)
        return cast(jnp.conj(q).T @ x if self.left else x @ q, dtype_of(g))

    def back(self, u: Array, q: Array, scale: Numeric) -> Array:
        """The update of the full parameter, from the projected one."""
        u, q = widen(u), widen(q)
        full = q @ u if self.left else u @ jnp.conj(q).T
        return self.view.unstack(scale * full)


@transformation(scale=FINITE)
def scale_by_galore(
    rank: int = 128,
    update_proj_gap: int | Array = 200,
    scale: Numeric = 1.0,
    base_optimizer: GradientTransformation | None = None,
    weight_dimension_numbers: GaLoreDimNumsOrFn | None = None,
):
    """Runs another rule on gradients projected to the leading singular vectors of one of them.

    Every `update_proj_gap` steps Q = the leading `rank` singular vectors of g, of its longer side;
    u = scale Q base(Q* g), or scale base(g Q) Q*.

    Args:
        rank: at least 1. A smaller matrix has the rank of its shorter side.
        update_proj_gap: steps between new projections, at least 1.
        scale: factor of the projected updates.
        base_optimizer: a rule that needs no parameters; None for `scale_by_adam()`.
        weight_dimension_numbers: a `GaLoreDimensionNumbers` for all arrays of two axes or more, a tree
            of them with None for arrays that are not projected, or a function from the parameters to one;
            None projects matrices.

    State: `GaLoreState(count, base_optimizer_state, projector)`.
    Memory: rank / shorter side of the base rule's, and rank / shorter side x the parameters.
    Raises: TypeError or ValueError unless `rank` is an integer of at least 1.
    Reference: Zhao et al., 2024, arXiv:2403.03507.

    Example:
        >>> rule, g = gc.identity(), jnp.array([[3.0, 0.0], [0.0, 1.0]])
        >>> tx = gc.scale_by_galore(rank=1, base_optimizer=rule)
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> [[round(abs(x), 3) for x in row] for row in u.tolist()]  # the part of rank 1
        [[3.0, 0.0], [0.0, 0.0]]
    """
    if not isinstance(rank, int):
        raise TypeError(f"scale_by_galore: rank must be an integer, received {rank!r}.")
    if rank < 1:
        raise ValueError(f"scale_by_galore: rank must be at least 1, received {rank}.")
    base = with_extra_args_support(scale_by_adam() if base_optimizer is None else base_optimizer)

    def plans(tree: PyTree) -> tuple[list[Any], Any, list[_Projection | None]]:
        leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
        numbers = _numbers(weight_dimension_numbers, tree)
        numbers = leaves_like("scale_by_galore", "gradient", tree, "dimension numbers", numbers)
        found: list[_Projection | None] = []
        for i, (x, d) in enumerate(zip(leaves, numbers, strict=True)):
            try:
                found.append(None if x is None else _Projection.of(jnp.shape(x), d, rank))
            except LeafError as error:
                raise error.at(path_of_leaf(tree, i)) from None
        return leaves, treedef, found

    def init(params: Params) -> GaLoreState:
        leaves, treedef, found = plans(params)
        projectors, proxies = [], []
        for p, plan in zip(leaves, found, strict=True):
            if plan is None:
                projectors.append(None if p is None else jnp.zeros((0, 0), dtype_of(p)))
                proxies.append(p)
            else:
                shapes = [jnp.zeros(shape, dtype_of(p)) for shape in plan.shapes]
                projectors.append(shapes[0])
                proxies.append(shapes[1])
        proxy_tree = jax.tree.unflatten(treedef, proxies)
        count = jnp.zeros([], jnp.int32)
        return GaLoreState(count, base.init(proxy_tree), jax.tree.unflatten(treedef, projectors))

    @compiled
    def update(
        updates: Updates, state: GaLoreState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, GaLoreState]:
        leaves = Leaves("scale_by_galore", updates, params)
        due = state.count % update_proj_gap == 0
        gs, treedef, found = plans(updates)
        olds = leaves.all_of("state's projector", state.projector)
        low, bases = list(gs), list(olds)
        for i in leaves.present:
            plan, g = found[i], gs[i]
            if plan is not None and is_inexact(g):
                if plan.shapes[0] != olds[i].shape:
                    raise ValueError(
                        f"scale_by_galore: gradient {path_of_leaf(updates, i)} has shape {g.shape}, which "
                        f"does not fit its projector of shape {olds[i].shape}."
                    )

                g, old = uncut(g), uncut(olds[i])

                def anew(g: Array, plan: _Projection = plan, q: Array = old) -> Array:
                    return cast(plan.basis(g), q.dtype)

                bases[i] = jax.lax.cond(due, anew, lambda _, q=old: q, g)
                low[i] = plan.project(g, bases[i])
        low_tree, base_state = base.update(
            jax.tree.unflatten(treedef, low), state.base_optimizer_state, None, **extra_args
        )
        ps = [None] * len(gs) if params is None else leaves.all_of("parameters", params)
        us = leaves_like("scale_by_galore", "gradient", updates, "base updates", low_tree)
        for i in leaves.present:
            plan = found[i]
            if plan is not None:
                full = plan.back(uncut(us[i]), uncut(bases[i]), scale)
                us[i] = typed_like(cast(full, dtype_of_step(gs[i], ps[i])), gs[i])
                bases[i] = typed_like(bases[i], olds[i])
        return jax.tree.unflatten(treedef, us), GaLoreState(
            safe_increment(state.count), base_state, jax.tree.unflatten(treedef, bases)
        )

    inside = [(base, ("base_optimizer_state",))]
    return GradientTransformationExtraArgs(init, update, inside=inside)


@transformation(scale=FINITE)
def galore(
    learning_rate: ScalarOrSchedule,
    rank: int = 128,
    update_proj_gap: int | Array = 200,
    scale: Numeric = 1.0,
    base_optimizer: GradientTransformation | None = None,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    weight_dimension_numbers: GaLoreDimNumsOrFn | None = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """GaLore: p = p - learning_rate (scale Q adam(Q* g) + weight_decay p), Q of low rank.

    Args:
        rank, update_proj_gap, scale, base_optimizer, weight_dimension_numbers: see `scale_by_galore`.

    State: a chain's: `GaLoreState(count, base_optimizer_state, projector)`, the decay's, the rate's.
    Memory: 3 rank / shorter side x the matrices, 2 x the rest.
    Reference: Zhao et al., 2024, GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection,
        arXiv:2403.03507.

    Example:
        >>> tx, p = gc.galore(0.5, rank=1), jnp.zeros((2, 2))
        >>> p, _ = tx.step(jnp.array([[3.0, 0.0], [0.0, 1.0]]), tx.init(p), p)
        >>> [[round(abs(x), 3) for x in row] for row in p.tolist()]  # the leading singular vector alone
        [[0.5, 0.0], [0.0, 0.0]]
    """
    return chain(
        scale_by_galore(rank, update_proj_gap, scale, base_optimizer, weight_dimension_numbers),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
