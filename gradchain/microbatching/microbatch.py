"""Functions of large batches, evaluated on small ones in turn."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Union

import jax
import jax.numpy as jnp
import numpy as np

from ..core import nearest
from .accumulators import AccumulationType, Accumulator, AccumulatorTree, accumulate
from .batches import axis_of, check_divides, split, take

Function = Callable[..., Any]


def microbatch(
    fun: Function,
    argnums: int | Sequence[int],
    microbatch_size: int | None,
    accumulator: Accumulator | AccumulationType | AccumulatorTree = AccumulationType.SUM,
    *,
    argnames: str | Sequence[str] = (),
    in_axes: int | Sequence[int] = 0,
    num_real_microbatches: Union[int, jax.Array, None] = None,
) -> Function:
    """`fun` evaluated on one microbatch after the other, in the memory of one.

    Microbatch k of n has the rows k, k + n, k + 2 n, ... of the batch.

    Args:
        fun: a function of arrays, usually a gradient: sums of it over rows, or means, or rows.
        argnums, argnames: which positional and keyword arguments have a batch axis in all arrays.
        microbatch_size: rows per microbatch, a divisor of the batch; None returns fun as it is.
        accumulator: how results are combined: an AccumulationType (SUM, MEAN, RUNNING_MEAN, CONCAT)
            or an Accumulator, or a tree of them that begins as fun's result does.
        in_axes: the batch axes of argnums, then argnames; one number for all.
        num_real_microbatches: how many microbatches to run, from the first; may be traced, and is
            then held at n. MEAN still divides by n, RUNNING_MEAN by this number.

    Returns: a function of fun's arguments, with results in fun's dtypes. SUM and the means are
        accumulated in at least float32. Its reverse derivative recomputes each microbatch, in the
        memory of one, and needs a num_real_microbatches that is None or a Python int.
    Raises: ValueError, when called, for batches of unequal sizes, sizes that do not divide,
        arguments that are missing, accumulators that do not fit.
    """
    if microbatch_size is None:
        return fun
    keys = [*_listed(argnums), *_listed(argnames)]
    axes = [in_axes] * len(keys) if isinstance(in_axes, int) else list(in_axes)
    if len(axes) != len(keys):
        raise ValueError(
            f"microbatch: in_axes must be one number or one for each of argnums and argnames, {len(keys)} "
            f"in all, received {in_axes}."
        )

    @functools.wraps(fun)
    def microbatched(*args: Any, **kwargs: Any) -> Any:
        how = microbatch_size, accumulator, num_real_microbatches
        return evaluate("microbatch", fun, args, kwargs, dict(zip(keys, axes, strict=True)), *how)

    return microbatched


def _listed(x: Any) -> list[Any]:
    return [x] if isinstance(x, (int, str)) else list(x)


def evaluate(
    name: str,
    fun: Function,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    batched: dict[Any, int],
    microbatch_size: int,
    accumulator: AccumulatorTree,
    num_real_microbatches: Any,
) -> Any:
    """One call of a microbatched function; `batched` has the batch axis by position or name."""
    arguments: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
    axes = {_found(name, key, args, kwargs): axis for key, axis in batched.items()}
    batch = {key: jax.tree.map(jnp.asarray, arguments[key]) for key in axes}
    batch_size = _batch_size(name, batch, axes)
    check_divides(name, batch_size, microbatch_size)
    views = {key: split(name, batch[key], microbatch_size, axis) for key, axis in axes.items()}

    @functools.partial(jax.checkpoint, prevent_cse=False)  # type: ignore[reportPrivateImportUsage]
    def result(index: Any) -> Any:
        now = arguments | {key: take(views[key], index, axis) for key, axis in axes.items()}
        return fun(*(now[i] for i in range(len(args))), **{key: now[key] for key in kwargs})

    count = batch_size // microbatch_size
    return accumulate(name, result, accumulator, count, _bound(name, num_real_microbatches, count))


def _found(name: str, key: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A position from the front, or a name; ValueError if the call has no such argument."""
    if isinstance(key, str):
        if key not in kwargs:
            given = ", ".join(kwargs) or "none"
            raise ValueError(
                f"{name}: argnames has {key!r} but the call's keyword arguments are: {given}."
                f"{nearest(key, kwargs)}"
            )
        return key
    if not -len(args) <= key < len(args):
        raise ValueError(f"{name}: argnums has {key} but the call has {len(args)} positional arguments.")
    return key % len(args)


def _batch_size(name: str, batch: dict[Any, Any], axes: dict[Any, int]) -> int:
    """The one size of all batch axes."""
    sizes: dict[str, int] = {}
    for key, tree in batch.items():
        for path, x in jax.tree_util.tree_leaves_with_path(tree):
            what = f"argument {key!r}{jax.tree_util.keystr(path)}"
            sizes[what] = x.shape[axis_of(name, what, x, axes[key])]
    if len(set(sizes.values())) != 1:
        found = ", ".join(f"{what} has {size}" for what, size in sizes.items()) or "there are no arrays"
        raise ValueError(f"{name}: batch axes must have one size, but {found}.")
    return next(iter(sizes.values()))


def _bound(name: str, num_real_microbatches: Any, count: int) -> Any:
    """How many microbatches to run."""
    if num_real_microbatches is None:
        return count
    if isinstance(num_real_microbatches, (int, np.integer)):
        if not 0 <= num_real_microbatches <= count:
            raise ValueError(
                f"{name}: num_real_microbatches must be in [0, {count}], since there are {count} "
                f"microbatches, received {num_real_microbatches}."
            )
        return int(num_real_microbatches)
    return jnp.minimum(num_real_microbatches, count)
