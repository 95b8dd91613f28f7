"""`jax.vmap` in the memory of a small batch."""

from collections.abc import Callable, Sequence
from typing import Any, Union

import jax

from .accumulators import AccumulationType, Accumulator, AccumulatorTree, aggregate
from .microbatch import Function, evaluate

VmapFn = Callable[..., Function]


def micro_vmap(
    fun: Function,
    in_axes: int | Sequence[int | None] = 0,
    out_axes: Any = 0,
    *,
    microbatch_size: int | None = None,
    vmap_fn: VmapFn = jax.vmap,
    accumulator: Accumulator | AccumulationType | AccumulatorTree = AccumulationType.CONCAT,
    num_real_microbatches: Union[int, jax.Array, None] = None,
) -> Function:
    """`fun` mapped over examples, one microbatch after the other, with results stacked or reduced.

    Args:
        fun: a function of one example.
        in_axes: the batch axis of each positional argument, None for one without; one number for
            all. Keyword arguments are mapped along axis 0.
        out_axes: must be 0, as in Optax; move the axis of the result instead.
        microbatch_size: examples at once, a divisor of the batch; None for all.
        vmap_fn: called as vmap_fn(fun, in_axes, out_axes), to give `jax.vmap` more arguments.
        accumulator: CONCAT stacks the results, as `jax.vmap` does. SUM, MEAN or an Accumulator
            reduce them, so that they need not all fit in memory; a tree that begins as fun's result
            does reduces each part in its way.
        num_real_microbatches: how many microbatches to run, see `microbatch`.

    Returns: a function of fun's arguments with batch axes.
    Raises: NotImplementedError for another out_axes; ValueError, when called, as `microbatch`.
    """
    if out_axes != 0:
        raise NotImplementedError(
            f"micro_vmap: out_axes must be 0, received {out_axes!r}. Move the axis of the result: "
            "jnp.moveaxis(result, 0, axis)."
        )

    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = (in_axes,) * len(args) if isinstance(in_axes, int) else tuple(in_axes)

        def reduced(*args: Any, **kwargs: Any) -> Any:
            return aggregate("micro_vmap", accumulator, vmap_fn(fun, axes, out_axes)(*args, **kwargs))

        if microbatch_size is None:
            return reduced(*args, **kwargs)
        batched = {i: axis for i, axis in enumerate(axes) if axis is not None} | dict.fromkeys(kwargs, 0)
        return evaluate(
            "micro_vmap",
            reduced,
            args,
            kwargs,
            batched,
            microbatch_size,
            accumulator,
            num_real_microbatches,
        )

    return mapped
