"""Gradients per example, transformed and reduced, in the memory of a small batch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp

from ..core.types import ArrayTree
from .accumulators import AccumulationType, Accumulator, AccumulatorTree
from .micro_vmap import micro_vmap
from .microbatch import Function


class IndividualOutputs(NamedTuple):
    """What `micro_grad` keeps of each example, along axis 0."""

    values: Any  # [batch]  the function's values
    metrics: Any  # [batch, ...]  metrics_fn of the gradients
    aux: Any  # [batch, ...]  the function's auxiliary output, or None


ValueAndGradFn = Callable[..., tuple[Any, IndividualOutputs]]


def micro_grad(
    fun: Function,
    has_aux: bool = False,
    argnums: int | Sequence[int] = 0,
    *,
    batch_argnums: int | Sequence[int] = 1,
    keep_batch_dim: bool = True,
    microbatch_size: int | None = None,
    accumulator: Accumulator | AccumulationType | AccumulatorTree = AccumulationType.SUM,
    transform_fn: Callable[[ArrayTree], ArrayTree] = lambda grads: grads,
    metrics_fn: Callable[[ArrayTree], ArrayTree] = lambda grads: None,
    num_real_microbatches: Union[int, jax.Array, None] = None,
) -> ValueAndGradFn:
    """The sum over examples of transform_fn(g_n), g_n the n-th example's gradient of `fun`.

    With transform_fn one clips gradients per example, or takes their moments.

    Args:
        fun: gives one number, or (number, aux) with has_aux.
        argnums: the arguments to differentiate in, as in `jax.grad`.
        batch_argnums: the positional arguments whose arrays have examples along axis 0. Keyword
            arguments have too.
        keep_batch_dim: whether fun sees an example as a batch of one, with axis 0, or without it.
        microbatch_size: examples at once, a divisor of the batch; None for all.
        accumulator: how the transformed gradients are combined over examples, see `micro_vmap`.
        transform_fn: from one example's gradient to a tree.
        metrics_fn: from one example's gradient to small arrays, which are kept for each example.
        num_real_microbatches: how many microbatches to run, see `microbatch`.

    Returns: a function of fun's arguments that returns the combined gradients and, for each example,
        `IndividualOutputs(values, metrics, aux)`.
    Raises: ValueError, when called, as `microbatch`.
    Reference: Abadi et al., 2016, Deep Learning with Differential Privacy, arXiv:1607.00133.
    """
    numbers = [batch_argnums] if isinstance(batch_argnums, int) else list(batch_argnums)
    value_and_grad = jax.value_and_grad(fun, argnums, has_aux=has_aux)

    def of_batch(*args: Any, **kwargs: Any) -> tuple[Any, IndividualOutputs]:
        batched = {n % len(args) for n in numbers}

        def of_example(*args: Any, **kwargs: Any) -> tuple[Any, IndividualOutputs]:
            if keep_batch_dim:
                args = tuple(_batch_of_one(x) if i in batched else x for i, x in enumerate(args))
            output, grads = value_and_grad(*args, **kwargs)
            value, aux = output if has_aux else (output, None)
            return transform_fn(grads), IndividualOutputs(value, metrics_fn(grads), aux)

        return micro_vmap(
            of_example,
            in_axes=[0 if i in batched else None for i in range(len(args))],
            microbatch_size=microbatch_size,
            accumulator=(accumulator, AccumulationType.CONCAT),
            num_real_microbatches=num_real_microbatches,
        )(*args, **kwargs)

    return of_batch


def _batch_of_one(example: Any) -> Any:
    return jax.tree.map(lambda x: jnp.expand_dims(x, 0), example)
