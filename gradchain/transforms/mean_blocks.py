"""Blocks of a parameter that share one mean square, and Adam-mini's choice of them by names."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp

from ..core import Call, LeafError, TreeFunction, is_none, leaves_like, path_of_leaf, tree_mismatch
from ..core.types import Array, Params, PyTree
from ..tree.paths import paths


class MeanBlocks(NamedTuple):
    """Which entries of a parameter share one mean square: those that differ only along `axes`.

    With `heads`, the axis `head_axis` is made of so many heads of equal size, and each head shares it.
    """

    axes: Sequence[int] | int | None = None  # None: all of them, one block
    heads: int | None = None
    head_axis: int = 0


MeanBlocksOrFn = Union[MeanBlocks, Params, Callable[[Params], Params], None]

QUERIES = {"query", "key", "q_proj", "k_proj", "query_proj", "key_proj", "wq", "wk", "q", "k"}
VALUES = {"value", "v_proj", "value_proj", "wv", "v"}
EMBEDDINGS = ("embed", "embd", "wte", "wpe")


class BlockView(NamedTuple):
    """How a parameter is seen: averages over `axes` of the array whose `head_axis` is split, if it is."""

    axes: tuple[int, ...]  # of the split array
    split: tuple[int, ...]  # its shape
    stored: tuple[int, ...]  # the shape of the means
    repeats: tuple[int, int] | None  # the head axis and the size of a head

    @classmethod
    def of(cls, name: str, shape: tuple[int, ...], blocks: MeanBlocks | None) -> "BlockView":
        """The view of an array of this shape; of `None`, every entry is a block.

        Raises: LeafError for an axis that the array lacks, or heads that do not divide theirs.
        """
        if blocks is None:
            return cls((), shape, shape, None)
        ndim = len(shape)
        given = range(ndim) if blocks.axes is None else blocks.axes
        axes = sorted(
            {_axis(name, a, shape, blocks) for a in ([given] if isinstance(given, int) else given)}
        )
        if blocks.heads is None:
            return cls(tuple(axes), shape, tuple(1 if i in axes else n for i, n in enumerate(shape)), None)
        at = _axis(name, blocks.head_axis, shape, blocks)
        if blocks.heads < 1 or shape[at] % blocks.heads or (at in axes and blocks.axes is not None):
            raise LeafError(
                name,
                f"{{leaf}} has shape {shape} and its {blocks!r} do not fit: heads must divide the size of "
                "head_axis, which must not be one of axes.",
            )
        size = shape[at] // blocks.heads
        split = (*shape[:at], blocks.heads, size, *shape[at + 1 :])
        over = tuple(sorted({a + (a > at) for a in axes if a != at} | {at + 1}))
        stored = tuple(blocks.heads if i == at else 1 if i in axes else n for i, n in enumerate(shape))
        return cls(over, split, stored, (at, size))

    def sum(self, x: Array) -> Array:
        """The sum over each block."""
        return jnp.sum(x.reshape(self.split), self.axes, keepdims=True).reshape(self.stored)

    def mean(self, x: Array) -> Array:
        """The mean over each block."""
        return self.sum(x) / max(math.prod(self.split[a] for a in self.axes), 1)

    def spread(self, v: Array) -> Array:
        """What broadcasts against the array: each block's number for its entries."""
        return v if self.repeats is None else jnp.repeat(v, self.repeats[1], self.repeats[0])


def _axis(name: str, axis: int, shape: tuple[int, ...], blocks: MeanBlocks) -> int:
    if not -len(shape) <= axis < len(shape):
        raise LeafError(name, f"{{leaf}} has shape {shape}, but its {blocks!r} name the axis {axis}.")
    return axis % len(shape)


def values_for(name: str, what: str, given: PyTree, tree: PyTree) -> list[Any]:
    """What each leaf of a tree is given by a tree like it or a prefix of it; parts may be masked."""

    def is_value(x: Any) -> bool:
        return x is None or isinstance(x, MeanBlocks)

    try:
        full = jax.tree.map(
            lambda value, node: jax.tree.map(lambda _: value, node, is_leaf=is_none),
            given,
            tree,
            is_leaf=is_value,
        )
    except ValueError:
        raise tree_mismatch(name, "parameter", tree, what, given) from None
    return leaves_like(name, "parameter", tree, what, full)


def block_views(name: str, given: MeanBlocksOrFn) -> Callable[[PyTree], PyTree]:
    """The `settings` of a rule: how to see each array of a tree."""

    def views(tree: PyTree) -> PyTree:
        leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
        if given is None or isinstance(given, MeanBlocks):
            every: list[Any] = [given] * len(leaves)
        else:
            every = values_for(name, "blocks", given(tree) if callable(given) else given, tree)
        found = []
        for i, (x, b) in enumerate(zip(leaves, every, strict=True)):
            try:
                found.append(None if x is None else BlockView.of(name, jnp.shape(x), b))
            except LeafError as error:
                raise error.at(path_of_leaf(tree, i)) from None
        return treedef.unflatten(found)

    return views


def adam_mini_blocks(params: Params | None = None, *, head_dim: int | None = None) -> PyTree | TreeFunction:
    """Adam-mini's blocks, chosen by the names and the ranks of the parameters.

    Biases: None, a block for each entry. Norms and other vectors: one block. Queries and keys: a block for
    each head. Embeddings: for each row. All others, values too: for each output. Names are those of Flax
    (Linen and NNX), Equinox, Haiku and PyTorch: in a 'weight' outputs are the first axis, else the last. A
    kernel of three axes named 'query', 'key' or 'value' is (inputs, heads, size), as Flax has it.

    Args:
        params: the parameters; None returns the function for this `head_dim`.
        head_dim: the size of a head, for queries and keys of two axes; None gives each output of
            theirs a block. Where layers are stacked along a first axis, give a tree of your own.

    Returns: a tree of `MeanBlocks` and None, or a function from the parameters to one.
    Raises: ValueError for a `head_dim` that does not divide the outputs of queries or keys.
    Reference: Zhang et al., 2024, arXiv:2406.16793.

    Example:
        >>> params = {"bias": jnp.ones(2), "norm": {"scale": jnp.ones(2)}, "kernel": jnp.ones((2, 2))}
        >>> blocks = gc.adam_mini_blocks(params)
        >>> print(blocks["bias"], blocks["norm"]["scale"], blocks["kernel"])
        None MeanBlocks(axes=None, heads=None, head_axis=0) MeanBlocks(axes=(0,), heads=None, head_axis=0)
    """

    def blocks(tree: Params) -> PyTree:
        def block(x: Any, name: str) -> MeanBlocks | None:
            return _block_of(name, jnp.shape(x), head_dim)

        return jax.tree.map(block, tree, paths(tree))

    if params is not None:
        return blocks(params)
    return TreeFunction(blocks, Call(adam_mini_blocks, {"params": None, "head_dim": head_dim}))


def spatial_blocks(params: Params) -> PyTree:
    """Blocks for convolutions: the height and width of a kernel (height, width, inputs, outputs).

    Of arrays of four axes or more, all axes but the last two; of others, every entry is a block.

    Returns: a tree of `MeanBlocks` and None.

    Example:
        >>> print(gc.spatial_blocks({"bias": jnp.ones(2), "kernel": jnp.ones((3, 3, 1, 2))}))
        {'bias': None, 'kernel': MeanBlocks(axes=(0, 1), heads=None, head_axis=0)}
    """

    def block(x: Any) -> MeanBlocks | None:
        return MeanBlocks(tuple(range(jnp.ndim(x) - 2))) if jnp.ndim(x) > 3 else None

    return jax.tree.map(block, params)


def _block_of(name: str, shape: tuple[int, ...], head_dim: int | None) -> MeanBlocks | None:
    words = re.split(r"[/.]", name.lower())
    ndim, out = len(shape), 0 if words[-1] == "weight" else len(shape) - 1
    if "bias" in name.lower() or words[-1] == "b":
        return None
    if ndim < 2 or any("norm" in word or word.startswith("ln") for word in words):
        return MeanBlocks()
    inputs = tuple(i for i in range(ndim) if i != out)
    if not QUERIES.isdisjoint(words):
        if ndim > 2:
            return MeanBlocks((*range(ndim - 2), ndim - 1))
        if head_dim is not None:
            if shape[out] % head_dim:
                raise ValueError(
                    f"adam_mini_blocks: head_dim must divide the outputs of queries and keys, received "
                    f"{head_dim} for {name!r} with {shape[out]} outputs."
                )
            return MeanBlocks(inputs, shape[out] // head_dim, out)
    if any(word in part for word in EMBEDDINGS for part in words):
        return MeanBlocks(tuple(range(1, ndim)))
    if ndim > 2 and not VALUES.isdisjoint(words):
        return MeanBlocks(tuple(range(ndim - 2)))
    return MeanBlocks(inputs)
