"""APOLLO: gradients scaled by what Adam does to random projections of them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp

from ..core import POSITIVE, Trait, chain, transformation, treewise
from ..core.lists import each_with
from ..core.numerics import (
    abs_sq,
    accumulator_like,
    ema,
    key_of,
    norm,
    ratio,
    sqrt,
    weight_after,
    zeros_like,
)
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Numeric,
    Params,
    PyTree,
    ScalarOrSchedule,
)
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decays, decoupled_last
from ..tree.paths import paths

GROWTH = 1.01
"""How much longer a step may be than the one before it."""
TINY = 1e-8
"""Added to norms before they divide."""


class ScaleByApolloState(NamedTuple):
    """State of `scale_by_apollo`."""

    count: Count  # i32[]  steps taken
    rng_key: Array  # key[]  from which all projections are drawn
    mu: Params  # moving average of projected gradients, with `rank` for the shorter axis; or mu_dtype
    nu: Params  # like |mu|, at least float32, or nu_dtype; moving average of their squares
    norm: Params  # f32[] for each array; norm of its last scaled gradient, 0 where none is projected


class _Plan(NamedTuple):
    """How one array is seen: which axis is projected, None for Adam, and to how many numbers."""

    axis: int | None
    rank: int

    def low(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the projected array."""
        return tuple(self.rank if i == self.axis else n for i, n in enumerate(shape))

    def project(self, key: Array, g: Array) -> Array:
        """The array times a random matrix, which keeps norms on average."""
        if self.axis is None:
            return g
        real = jnp.real(g).dtype
        matrix = jax.random.normal(key, (g.shape[self.axis], self.rank), real) / self.rank**0.5
        return matrix.T @ g if self.axis == 0 else g @ matrix


@transformation(scale=POSITIVE, update_proj_gap=POSITIVE)
def scale_by_apollo(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-6,
    rank: int | None = None,
    update_proj_gap: Numeric = 200,
    scale: Hyperparameter = 1.0,
    scale_type: Literal["channel", "tensor"] = "channel",
    low_rank_mask: MaskOrFn = None,
    key: int | Array = 0,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Multiplies each column of a gradient by how much Adam scales a random projection of it.

    r = P g, P normal / sqrt(rank), along the shorter axis;  a = m / (sqrt(v) + eps) of r, as in Adam;
    n = g |a| / |r|, norms over that axis;  n = n min(1, 1.01 |last n| / |n|);
    u = sqrt(scale) n sqrt(1 - b2^t) / (1 - b1^t).

    Arrays of other than two axes have Adam's rule. P is drawn anew from its key at every step, not stored.

    Args:
        eps: added to sqrt(v) before debiasing.
        rank: at least 1, at most the shorter axis; None for a quarter of it.
        update_proj_gap: steps with one P, at least 1.
        scale: more than 0; APOLLO-Mini is rank 1, scale 128, scale_type "tensor".
        scale_type: "tensor" takes the norms over the whole array.
        low_rank_mask: which matrices are projected: a tree of booleans, or a function from the parameters
            to one; None for all.
        key: a random key, or an integer seed.

    State: `ScaleByApolloState(count, rng_key, mu, nu, norm)`.
    Memory: 2 rank / shorter side x the matrices, 2 x the rest.
    Raises: ValueError for another `scale_type`, or a rank below 1.
    Reference: Zhu et al., 2024, arXiv:2412.05270.

    Example:
        >>> tx, g = gc.scale_by_apollo(rank=1), jnp.array([[3.0, 1.0], [4.0, 0.0]])
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> round(float(u[0, 0] / u[1, 0]), 3)  # a column keeps its direction, 3 / 4
        0.75
    """
    if scale_type not in ("channel", "tensor"):
        raise ValueError(
            f"scale_by_apollo: scale_type must be 'channel' or 'tensor', received {scale_type!r}."
        )
    if rank is not None and (not isinstance(rank, int) or rank < 1):
        raise ValueError(f"scale_by_apollo: rank must be an integer of at least 1, received {rank!r}.")

    def plan(x: Array, projected: bool) -> _Plan:
        shape = jnp.shape(x)
        if len(shape) != 2 or not projected or min(shape) == 0:
            return _Plan(None, 0)
        short = min(shape)
        return _Plan(0 if shape[0] <= shape[1] else 1, min(rank or max(short // 4, 1), short))

    def plans(tree: PyTree) -> PyTree:
        """For each array a number of its name, which chooses its key, and how it is seen."""
        where = decays(low_rank_mask)
        masks = jax.tree.map(lambda _: True, tree) if where is None else where(tree)
        return jax.tree.map(lambda x, m, name: (crc32(name.encode()), plan(x, m)), tree, masks, paths(tree))

    def init(ps: list[Array], *, settings: Sequence[tuple[int, _Plan]]) -> ScaleByApolloState:
        def low(plan: _Plan, zeros: Array) -> Array:
            if plan.axis is None:
                return zeros
            # A sum, not new zeros: sums keep the sharding of the axis that stays.
            return jnp.broadcast_to(zeros.sum(plan.axis, keepdims=True), plan.low(zeros.shape))

        seen = [plan for _, plan in settings]
        return ScaleByApolloState(
            count=0,
            rng_key=key_of(key),
            mu=[low(plan, zeros_like(p, mu_dtype)) for plan, p in zip(seen, ps, strict=True)],
            nu=[low(plan, accumulator_like(p, nu_dtype)) for plan, p in zip(seen, ps, strict=True)],
            norm=[jnp.sum(accumulator_like(p)) for p in ps],
        )

    def update(
        g: list[Array], s: ScaleByApolloState, p: list[Array], *, settings: Sequence[tuple[int, _Plan]]
    ) -> tuple[list[Array], ScaleByApolloState]:
        debiased = sqrt(weight_after(s.count, b2)) / weight_after(s.count, b1)

        def leaf(plan: _Plan, key: Array, g: Array, mu: Array, nu: Array, last: Array) -> tuple[Array, ...]:
            low = plan.project(key, g)
            mu, nu = ema(low, mu, b1), ema(abs_sq(low), nu, b2)
            adam = ratio(mu, sqrt(nu) + eps)
            if plan.axis is None:
                return debiased * adam, mu, nu, last
            axis = plan.axis if scale_type == "channel" else (0, 1)
            n = g * (_norms(adam, axis) / (_norms(low, axis) + TINY))
            size = norm(n)
            # A norm of 0 limits nothing, or a gradient of zeros would end all steps after it.
            limit = jnp.where(last > 0, jnp.maximum(size / (last + TINY), GROWTH) / GROWTH, 1)
            return sqrt(jnp.asarray(scale)) * debiased / limit * n, mu, nu, size / limit

        round_key = jax.random.fold_in(s.rng_key, (s.count - 1) // update_proj_gap)
        keys = [jax.random.fold_in(round_key, number) for number, _ in settings]
        rows = each_with(leaf, [plan for _, plan in settings], keys, g, s.mu, s.nu, s.norm)
        u, mu, nu, norms = ([row[i] for row in rows] for i in range(4))
        return u, s._replace(mu=mu, nu=nu, norm=norms)

    return treewise(
        init, update, needs_params=False, like_params=False, settings=plans, traits=[Trait.RESCALES]
    )


def _norms(x: Array, axis: int | tuple[int, int]) -> Array:
    return sqrt(jnp.sum(abs_sq(x), axis, keepdims=True))


@transformation(scale=POSITIVE, update_proj_gap=POSITIVE)
def apollo(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-6,
    rank: int | None = None,
    update_proj_gap: Numeric = 200,
    scale: ScalarOrSchedule = 1.0,
    scale_type: Literal["channel", "tensor"] = "channel",
    low_rank_mask: MaskOrFn = None,
    key: int | Array = 0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """APOLLO: p = (p - learning_rate g |a| / |r|) (1 - learning_rate weight_decay).

    a is what Adam makes of r, a random projection of the gradient g, see `scale_by_apollo`. APOLLO-Mini,
    whose moments are vectors, is `apollo(1e-2, rank=1, scale=128.0, scale_type="tensor")`.

    Args:
        learning_rate: the authors' is 1e-2.
        b1, b2, eps, rank, update_proj_gap: see `scale_by_apollo`.
        scale, scale_type, low_rank_mask, key: see `scale_by_apollo`.
        weight_decay: of the parameters after their step, times the learning rate.

    State: a chain's: `ScaleByApolloState`, the learning rate's.
    Memory: 2 rank / shorter side x the matrices, 2 x the rest.
    Raises: ValueError for another `scale_type`, or a rank below 1.
    Reference: Zhu et al., 2024, APOLLO: SGD-like Memory, AdamW-level Performance, arXiv:2412.05270.

    Example:
        >>> tx, p = gc.apollo(0.5, rank=1), jnp.zeros((2, 3))
        >>> arrays = [x for x in jax.tree.leaves(tx.init(p)) if x.ndim]
        >>> print([x.shape for x in arrays])  # the moments have rank rows
        [(1, 3), (1, 3)]
    """
    projection = (rank, update_proj_gap, scale, scale_type, low_rank_mask, key)
    return chain(
        scale_by_apollo(b1, b2, eps, *projection, mu_dtype, nu_dtype=nu_dtype),
        scale_by_learning_rate(learning_rate),
        *decoupled_last(learning_rate, weight_decay, weight_decay_mask),
    )
