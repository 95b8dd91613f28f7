"""How the results of microbatches become one result."""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from ..core import cast, dtype_of, is_inexact, widen
from ..core.types import ArrayTree

TreeFn: TypeAlias = Callable[[ArrayTree], ArrayTree]
UpdateFn: TypeAlias = Callable[[ArrayTree, ArrayTree, Any], ArrayTree]


@dataclasses.dataclass(frozen=True)
class Accumulator:
    """A way of combining results: `finalize` of the carry that `init` begins and `update` continues."""

    init: TreeFn  # from the shapes and dtypes of one microbatch's result to the first carry
    update: UpdateFn  # from the carry, a result and its microbatch's number to the next carry
    finalize: TreeFn  # from the last carry to the result
    aggregate: TreeFn  # from results per example, axis 0, to one microbatch's result, for `micro_vmap`


class AccumulationType(enum.Enum):
    """The usual ways of combining results. Half precision is accumulated in float32."""

    MEAN = enum.auto()  # the sum over all microbatches, divided by their number
    SUM = enum.auto()
    RUNNING_MEAN = enum.auto()  # the mean over those that were run, see `num_real_microbatches`
    CONCAT = enum.auto()  # along axis 0, in the batch's order; zeros for those that were not run


AccumulatorTree: TypeAlias = Any
"""An AccumulationType or an Accumulator for the whole result, or a tree of them that begins as it does."""


def _zeros(like: Any) -> jax.Array:
    # Under explicit sharding `like` has a sharding, which zeros_like keeps.
    return widen(jnp.zeros_like(like))


def _add(total: Any, value: Any, index: Any) -> Any:
    del index
    return total + widen(value)


def _move_mean(mean: Any, value: Any, index: Any) -> Any:
    old = jnp.asarray(index, mean.dtype)
    return mean * (old / (old + 1)) + widen(value) / (old + 1)


def _same(x: Any) -> Any:
    return x


def _sum(count: int) -> Accumulator:
    del count
    return Accumulator(_zeros, _add, _same, lambda values: jnp.sum(values, axis=0))


def _mean(count: int) -> Accumulator:
    return Accumulator(_zeros, _add, lambda total: total / count, lambda values: jnp.mean(values, axis=0))


def _running_mean(count: int) -> Accumulator:
    del count
    return Accumulator(_zeros, _move_mean, _same, lambda values: jnp.mean(values, axis=0))


def _concat(count: int) -> Accumulator:
    """Rows of microbatch k are rows k, k + count, ... of the result: axis 1 counts microbatches."""

    def init(like: Any) -> jax.Array:
        zeros = jnp.expand_dims(jnp.zeros_like(like), min(like.ndim, 1))
        return jnp.broadcast_to(zeros, (*like.shape[:1], count, *like.shape[1:]))

    def update(rows: Any, value: Any, index: Any) -> Any:
        return jax.lax.dynamic_update_index_in_dim(rows, value, index, min(jnp.ndim(value), 1))

    def finalize(rows: Any) -> Any:
        return rows if rows.ndim == 1 else rows.reshape(-1, *rows.shape[2:])

    return Accumulator(init, update, finalize, _same)


_RULES: dict[AccumulationType, Callable[[int], Accumulator]] = {
    AccumulationType.MEAN: _mean,
    AccumulationType.SUM: _sum,
    AccumulationType.RUNNING_MEAN: _running_mean,
    AccumulationType.CONCAT: _concat,
}
"""By type: from the number of microbatches to a rule for one array."""


def _check_mean(name: str, kind: AccumulationType, like: ArrayTree) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(like):
        if not is_inexact(leaf):
            raise ValueError(
                f"{name}: {kind.name} needs floating point results, but the function's result"
                f"{jax.tree_util.keystr(path)} has dtype {dtype_of(leaf)}; use SUM or CONCAT for it."
            )


def _lifted(name: str, kind: AccumulationType, count: int, like: ArrayTree) -> Accumulator:
    """The rule for a tree of results."""
    rule = _RULES[kind](count)
    if kind in (AccumulationType.MEAN, AccumulationType.RUNNING_MEAN):
        _check_mean(name, kind, like)
    return Accumulator(
        lambda like: jax.tree.map(rule.init, like),
        lambda carry, value, i: jax.tree.map(lambda c, x: rule.update(c, x, i), carry, value),
        lambda carry: jax.tree.map(lambda c, x: cast(rule.finalize(c), x.dtype), carry, like),
        rule.aggregate,
    )


def by_part(name: str, accumulator: AccumulatorTree, tree: ArrayTree) -> tuple[list[Any], list[Any], Any]:
    """The accumulators, the part of a result each is for, and the structure that joins the parts.

    Raises: ValueError for what is no accumulator, or where they are not a beginning of the tree.
    """
    kinds, treedef = jax.tree.flatten(accumulator)
    for kind in kinds:
        if not isinstance(kind, (Accumulator, AccumulationType)):
            raise ValueError(
                f"{name}: accumulator must be an AccumulationType, an Accumulator or a tree of them, "
                f"received {kind!r}."
            )
    try:
        return kinds, treedef.flatten_up_to(tree), treedef
    except ValueError:
        raise ValueError(
            f"{name}: the accumulators {treedef} do not fit the function's result "
            f"{jax.tree.structure(tree)}; give one for all, or a tree that begins as the result does."
        ) from None


def aggregate(name: str, accumulator: AccumulatorTree, results: ArrayTree) -> ArrayTree:
    """Results per example, axis 0, as one microbatch's result."""
    kinds, parts, treedef = by_part(name, accumulator, results)
    return treedef.unflatten(
        kind.aggregate(part)
        if isinstance(kind, Accumulator)
        else jax.tree.map(_RULES[kind](1).aggregate, part)
        for kind, part in zip(kinds, parts, strict=True)
    )


def accumulate(
    name: str, result: Callable[[Any], ArrayTree], accumulator: AccumulatorTree, count: int, bound: Any
) -> ArrayTree:
    """The results of microbatches 0, ..., bound - 1 of `count`, combined, one after the other."""
    like = jax.eval_shape(result, jnp.zeros((), jnp.int32))
    kinds, parts, treedef = by_part(name, accumulator, like)
    rules = [
        kind if isinstance(kind, Accumulator) else _lifted(name, kind, count, part)
        for kind, part in zip(kinds, parts, strict=True)
    ]

    def step(index: Any, carries: list[Any]) -> list[Any]:
        values = treedef.flatten_up_to(result(jnp.asarray(index, jnp.int32)))
        triples = zip(rules, carries, values, strict=True)
        return [rule.update(carry, value, index) for rule, carry, value in triples]

    start = [rule.init(part) for rule, part in zip(rules, parts, strict=True)]
    carries = jax.lax.fori_loop(0, bound, step, start)
    return treedef.unflatten(rule.finalize(carry) for rule, carry in zip(rules, carries, strict=True))
