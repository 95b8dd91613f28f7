"""Which axes of a parameter are a matrix: by rank, by named layouts, and by the names of layers."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp

from ..core import Call, StackView, TreeFunction, is_none, leaves_like, nearest, views_of
from ..core.types import Params, PyTree
from ..tree.paths import paths
from .group_names import check_patterns, matches_of, named_patterns


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a parameter are the rows and columns of a matrix; other axes stack matrices.

    A convolution kernel (height, width, in, out) as one matrix is `MuonDimensionNumbers((0, 1, 2), 3)`.
    Queries, keys and values in one kernel (in, 3 out) are `MuonDimensionNumbers(0, 1, output_splits=3)`.
    """

    reduction_axis: Sequence[int] | int = 0  # summed over in the forward pass: the inputs
    output_axis: Sequence[int] | int = 1
    reduction_splits: int = 1  # the rows are cut into this many matrices
    output_splits: int = 1  # and the columns


WeightDimNumOrFn = Union[MuonDimensionNumbers, Params, Callable[[Params], Params | None]]

LAYOUTS: dict[str, tuple[int, Callable[[int], MuonDimensionNumbers]]] = {
    "matrix": (2, lambda ndim: MuonDimensionNumbers(0, 1)),
    "transposed": (2, lambda ndim: MuonDimensionNumbers(1, 0)),
    "stacked": (2, lambda ndim: MuonDimensionNumbers(-2, -1)),
    "stacked_transposed": (2, lambda ndim: MuonDimensionNumbers(-1, -2)),
    "conv": (3, lambda ndim: MuonDimensionNumbers(tuple(range(ndim - 1)), -1)),
    "conv_output_first": (3, lambda ndim: MuonDimensionNumbers(tuple(range(1, ndim)), 0)),
    "heads_in": (3, lambda ndim: MuonDimensionNumbers(-3, -1)),
    "heads_out": (3, lambda ndim: MuonDimensionNumbers(-2, -1)),
    "joint_heads_in": (3, lambda ndim: MuonDimensionNumbers(-3, (-2, -1))),
    "joint_heads_out": (3, lambda ndim: MuonDimensionNumbers((-3, -2), -1)),
    "qkv": (2, lambda ndim: MuonDimensionNumbers(-2, -1, 1, 3)),
    "qkv_transposed": (2, lambda ndim: MuonDimensionNumbers(-1, -2, 1, 3)),
}
"""By name: the fewest axes, and the dimension numbers for a number of axes."""

EMBEDDINGS_AND_HEADS = (
    r"(?i)(^|[/_])(un)?(embed(s|ding|dings|der)?|wte|wpe|lm_head|head|logits|classifier|readout)"
    r"(_?\d+)?(/|_|$)"
)
"""What is found in the names of embeddings and output heads."""


def _flax(path: str, ndim: int) -> str | None:
    """Kernels (..., in, out); attention (in, heads, head) and (heads, head, out)."""
    if ndim == 3 and re.search(r"(?i)(query|key|value|qkv)", path):
        return "heads_in"
    if ndim == 3 and re.search(r"(?i)(^|/)(out|o_proj|output|proj)\w*/[^/]*$", path):
        return "heads_out"
    return "matrix" if ndim == 2 else "conv" if ndim > 2 and re.search("(?i)conv", path) else None


def _haiku(path: str, ndim: int) -> str | None:
    """Weights (..., in, out)."""
    return "matrix" if ndim == 2 else "conv" if ndim > 2 and re.search("(?i)conv", path) else None


def _equinox(path: str, ndim: int) -> str | None:
    """Weights (out, in, ...)."""
    return "transposed" if ndim == 2 else "conv_output_first" if ndim > 2 else None


LIBRARIES = {"flax": _flax, "nnx": _flax, "haiku": _haiku, "equinox": _equinox}
"""From a parameter's name and number of axes to its layout, or None where it is no matrix."""


def _is_numbers(x: Any) -> bool:
    return x is None or isinstance(x, MuonDimensionNumbers)


def matrices_only(params: Params) -> PyTree:
    """The dimension numbers for which arrays with two axes are matrices; None for all others."""
    return jax.tree.map(lambda p: MuonDimensionNumbers() if jnp.ndim(p) == 2 else None, params)


def matrix_dimension_numbers(
    rules: str | Mapping[str, str | MuonDimensionNumbers | None],
    *,
    exclude: str | None = EMBEDDINGS_AND_HEADS,
) -> TreeFunction:
    """Dimension numbers by the names of parameters, for `weight_dimension_numbers` of any matrix optimizer.

        muon(0.02, muon_weight_dimension_numbers=matrix_dimension_numbers("flax"))
        matrix_dimension_numbers({".*/(query|key|value)/kernel": "heads_in", ".*/qkv/kernel": "qkv"})

    Args:
        rules: a library, "flax", "nnx", "haiku" or "equinox", whose layers are known by name and rank; or
            by pattern (a regular expression for whole names such as "block_0/query/kernel", the first match
            wins) a layout, dimension numbers, or None for "no matrix". Parameters that no pattern matches
            are matrices if they have two axes. The layouts, for kernels with the outputs last: "matrix",
            "stacked" (layers, in, out), "conv" (..., in, out), "heads_in" (in, heads, head) and "heads_out"
            (heads, head, out) with one matrix for each head, "joint_heads_in", "joint_heads_out" with one
            for all, "qkv" (in, 3 out); with the outputs first: "transposed", "stacked_transposed",
            "conv_output_first", "qkv_transposed".
        exclude: parameters in whose names this is found are no matrices, unless a pattern matches; by
            default embeddings and output heads. None excludes none.

    Returns: a function from the parameters to a tree of `MuonDimensionNumbers` and None, which prints,
        compares and pickles by value.
    Raises: ValueError for an unknown library or layout, with the nearest name; for a pattern that matches
        no parameter, and a layout that needs more axes than a parameter has.

    Example:
        >>> numbers = gc.matrix_dimension_numbers("flax")
        >>> params = {"query": {"kernel": jnp.ones((4, 2, 2))}, "bias": jnp.ones(4)}
        >>> found = numbers(params)
        >>> print(found["query"]["kernel"], found["bias"])
        MuonDimensionNumbers(reduction_axis=-3, output_axis=-1, reduction_splits=1, output_splits=1) None
    """
    who = "matrix_dimension_numbers"
    if isinstance(rules, str):
        if rules not in LIBRARIES:
            raise ValueError(
                f"{who}: expected a library, {', '.join(LIBRARIES)}, or rules by pattern, received "
                f"{rules!r}.{nearest(rules, LIBRARIES)}"
            )
        given = {}
        otherwise = LIBRARIES[rules]
    else:
        given, otherwise = dict(rules), lambda path, ndim: "matrix" if ndim == 2 else None
        for pattern, layout in given.items():
            if not (_is_numbers(layout) or layout in LAYOUTS):
                raise ValueError(
                    f"{who}: the layout of {pattern!r} must be one of {', '.join(LAYOUTS)}, dimension "
                    f"numbers or None, received {layout!r}.{nearest(str(layout), LAYOUTS)}"
                )
    patterns = named_patterns(who, list(given))
    layouts = dict(zip(patterns, given.values(), strict=True))

    def numbers_of(path: str, ndim: int, takers: Sequence[str]) -> MuonDimensionNumbers | None:
        if takers:
            layout = layouts[takers[0]]
        else:
            layout = None if exclude and re.search(exclude, path) else otherwise(path, ndim)
        if not isinstance(layout, str):
            return layout
        least, numbers = LAYOUTS[layout]
        if ndim < least:
            raise ValueError(f"{who}: {path!r} has {ndim} axes, and the layout {layout!r} needs {least}.")
        return numbers(ndim)

    def numbers(tree: PyTree) -> PyTree:
        names = paths(tree)
        found = matches_of(patterns, jax.tree.leaves(names))
        return jax.tree.map(lambda path, x: numbers_of(path, jnp.ndim(x), found[path]), names, tree)

    def check(params: Params) -> None:
        check_patterns(patterns, matches_of(patterns, jax.tree.leaves(paths(params))), who)

    kept = given or rules
    return TreeFunction(numbers, Call(matrix_dimension_numbers, {"rules": kept, "exclude": exclude}), check)


def matrix_labels(
    matrix: str = "matrix",
    rest: str = "rest",
    *,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    exclude: str | None = EMBEDDINGS_AND_HEADS,
    min_size: int = 1,
    max_size: int | None = None,
) -> TreeFunction:
    """Labels for `partition`: which parameters go to a matrix optimizer, by rank, name and size.

        partition({"matrix": soap(3e-3), "rest": adamw(3e-4)}, matrix_labels())

    Args:
        matrix, rest: the two labels.
        weight_dimension_numbers: which parameters are matrices, and how, as `scale_by_muon` takes it; by
            default those of exactly two axes.
        exclude: parameters in whose names this is found go to the rest; by default embeddings and output
            heads. None excludes none.
        min_size, max_size: bounds for the rows and columns of every matrix; others go to the rest.

    Returns: a function from the parameters to a tree of labels. It prints, compares and pickles by value.
    Raises: ValueError for `max_size` below `min_size`.

    Example:
        >>> params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "embed": jnp.ones((2, 2))}
        >>> print(gc.matrix_labels()(params))
        {'bias': 'rest', 'embed': 'rest', 'kernel': 'matrix'}
    """
    if max_size is not None and max_size < min_size:
        raise ValueError(
            f"matrix_labels: max_size must be at least min_size, {min_size}, received {max_size}."
        )

    def label(path: str, p: Any, numbers: MuonDimensionNumbers | None) -> str:
        if numbers is None or (exclude and re.search(exclude, path)):
            return rest
        sides = StackView.of("matrix_labels", jnp.shape(p), numbers).dims
        fits = min(sides) >= min_size and (max_size is None or max(sides) <= max_size)
        return matrix if fits else rest

    def labels(params: Params) -> PyTree:
        numbers = fitting_numbers("matrix_labels", weight_dimension_numbers, params)
        return jax.tree.map(label, paths(params), params, numbers)

    arguments = {
        "matrix": matrix,
        "rest": rest,
        "weight_dimension_numbers": weight_dimension_numbers,
        "exclude": exclude,
        "min_size": min_size,
        "max_size": max_size,
    }
    return TreeFunction(labels, Call(matrix_labels, arguments))


def dimension_numbers(given: WeightDimNumOrFn | None, tree: PyTree) -> PyTree:
    """The dimension numbers of every leaf of a tree; None where a leaf is no matrix."""
    if given is None:
        given = matrices_only
    numbers = given if isinstance(given, MuonDimensionNumbers) or not callable(given) else given(tree)
    return jax.tree.map(
        lambda d, node: jax.tree.map(lambda _: d, node, is_leaf=is_none), numbers, tree, is_leaf=_is_numbers
    )


def fitting_numbers(name: str, given: WeightDimNumOrFn | None, params: Params) -> PyTree:
    """The dimension numbers of every parameter.

    Raises: ValueError for a pattern that matches no parameter, and for numbers that do not fit theirs.
    """
    if isinstance(given, TreeFunction) and given.check is not None:
        given.check(params)
    numbers = dimension_numbers(given, params)
    every = leaves_like(name, "parameters", params, "dimension numbers", numbers)
    views_of(name, params, lambda i, shape: StackView.of(name, shape, every[i]))
    return numbers


def stack_views(
    name: str, given: WeightDimNumOrFn | None, otherwise: MuonDimensionNumbers | None, **how: Any
) -> Callable[[PyTree], list[StackView | None]]:
    """How a rule for stacks sees the leaves of a tree.

    Args:
        name: for errors.
        given: dimension numbers as the user gave them, or None.
        otherwise: those of a leaf that has none; None sees it as it is, with all its axes.
        **how: of `StackView.of`.
    """

    def views(tree: PyTree) -> list[StackView | None]:
        if given is None:
            numbers = [otherwise] * len(jax.tree.leaves(tree, is_leaf=is_none))
        else:
            numbers = dimension_numbers(given, tree)
            numbers = leaves_like(name, "gradient", tree, "dimension numbers", numbers)
        return views_of(
            name, tree, lambda i, shape: StackView.of(name, shape, numbers[i] or otherwise, **how)
        )

    return views
