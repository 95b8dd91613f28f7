"""Different transformations for different groups of parameters."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Siblings,
    nearest,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.types import Params, PyTree, Updates
from ..tree.placeholder import is_placeholder
from .masking import MaskedState, fitted, is_tree_fn, keep, mask_extra_args, merge


class PartitionState(NamedTuple):
    """State of `partition`."""

    inner_states: Mapping[Hashable, MaskedState]  # by label: the group's state


MultiTransformState = PartitionState


def _check_labels(labels: PyTree, known: Mapping[Hashable, GradientTransformation]) -> None:
    for path, label in jax.tree_util.tree_leaves_with_path(labels):
        if label not in known:
            raise ValueError(
                f"partition: parameter {jax.tree_util.keystr(path) or '(all)'} has label {label!r}; the "
                f"transformations have labels {', '.join(map(repr, known))}."
                + (nearest(label, map(str, known)) if isinstance(label, str) else "")
            )


def divided(
    name: str,
    transforms: Mapping[Hashable, GradientTransformation],
    masks: Callable[[PyTree], Mapping[Hashable, PyTree]],
    compatible: bool = False,
    check: Callable[[Params], None] | None = None,
    **about: Any,
) -> GradientTransformationExtraArgs:
    """A transformation for each group of parameters; those in no group stay as they are.

    Transformations that differ only in numbers share their traces.

    Args:
        name: what errors call it.
        transforms: by label.
        masks: a function from the parameters, or the updates, to the mask of each label.
        compatible: see `mask_compatible_extra_args` of `masked`.
        check: raises, in `init`, for parameters that it is not meant for.
        **about: see `wrapper`.
    """
    txs = {label: with_extra_args_support(tx) for label, tx in transforms.items()}
    together = Siblings(tuple(txs.values()))

    def init(params: Params) -> PartitionState:
        if is_placeholder(params):
            return PartitionState({g: MaskedState(tx.init(params)) for g, tx in txs.items()})
        if check is not None:
            check(params)
        groups = masks(params)
        states = {g: MaskedState(tx.init(keep(name, groups[g], params))) for g, tx in txs.items()}
        return PartitionState(states)

    def run(
        whole: bool, updates: Updates, state: PartitionState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, PartitionState]:
        groups = masks(updates if params is None else params)
        result, states = params if whole else updates, {}
        for group, tx in txs.items():
            mask = groups[group]
            with together.sharing():
                inside, inner_state = tx.run(
                    whole,
                    keep(name, mask, updates),
                    state.inner_states[group].inner_state,
                    None if params is None else keep(name, mask, params),
                    **mask_extra_args(name, mask, updates, params, extra_args, compatible),
                )
            result = merge(mask, inside, result)
            states[group] = MaskedState(inner_state)
        return result, PartitionState(states)

    inside = [(tx, ("inner_states", group, "inner_state")) for group, tx in transforms.items()]
    return wrapper(init, run, inside=inside, masks=lambda params: masks(params).values(), **about)


@transformation
def partition(
    transforms: Mapping[Hashable, GradientTransformation],
    param_labels: PyTree | Callable[[PyTree], PyTree],
    *,
    mask_compatible_extra_args: bool = False,
):
    """Gives each group of parameters its own transformation: `{"decay": adamw(..), "rest": adam(..)}`.

    The transformation of a group sees only the parameters of this group. `groups` chooses by names.

    Args:
        transforms: the transformations by label.
        param_labels: a tree of labels like the parameters or a prefix of them, or a function from
            the parameters (from the updates, where `update` gets no parameters) to one.
        mask_compatible_extra_args: see `masked`.

    State: `PartitionState(inner_states)`, a dict by label; a group keeps state for its own
        parameters only.
    Raises: ValueError for a label without a transformation (with its path and the known labels), and
        for labels that are not a prefix of the parameters.

    Example:
        >>> tx = gc.multi_transform({"up": gc.scale(1.0), "down": gc.scale(-1.0)}, {"a": "up", "b": "down"})
        >>> g = {"a": jnp.ones(1), "b": jnp.ones(1)}
        >>> u, _ = tx.update(g, tx.init(g))
        >>> print(u["a"].tolist(), u["b"].tolist())
        [1.0] [-1.0]
    """

    def masks(tree: PyTree) -> Mapping[Hashable, PyTree]:
        labels = param_labels(tree) if is_tree_fn(param_labels) else param_labels
        _check_labels(labels, transforms)
        masks = {g: jax.tree.map(lambda label, g=g: label == g, labels) for g in transforms}
        return {g: fitted(mask, tree) for g, mask in masks.items()}

    return divided("partition", transforms, masks, mask_compatible_extra_args)


multi_transform = partition
