"""Ready masks: where weight decay belongs."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.tree_util import KeyPath

from ..core import Call, Remembers
from ..core.types import Params, PyTree


class Mask(Remembers):
    """A function from the parameters to a tree of booleans that remembers its call."""

    def __init__(self, function: Callable[[Params], PyTree], call: Call):
        self.function = function
        self.call = call

    def __call__(self, params: Params) -> PyTree:
        """The mask of these parameters (or of any tree like them)."""
        return self.function(params)


def _names(path: KeyPath) -> list[str]:
    """The names along a path, in lower case; positions in lists have none."""
    keys = [getattr(key, "key", getattr(key, "name", None)) for key in path]
    return [key.lower() for key in keys if isinstance(key, str)]


def decay_matrices_only(
    params: Params | None = None, *, exclude: Sequence[str] = ("norm", "bias", "embed")
) -> PyTree | Mask:
    """A mask for weight decay: True for matrices, no biases, norms or embeddings.

    True where a leaf has at least two dimensions and no name on its path contains a word of `exclude`,
    in any case. The words matter where layers are stacked, so that biases have two dimensions too.
    `adamw(1e-3, mask=decay_matrices_only)`; to decay embeddings as well,
    `adamw(1e-3, mask=decay_matrices_only(exclude=("norm", "bias")))`.

    Args:
        params: the parameters; without them, the mask function for this `exclude`.
        exclude: parts of names that are not decayed.

    Returns: a tree of booleans, or a mask that prints, compares and pickles by value.
    """
    if isinstance(exclude, str):
        raise TypeError(f"decay_matrices_only: exclude must be a sequence of words, received {exclude!r}.")
    words = [word.lower() for word in exclude]

    def mask(tree: Params) -> PyTree:
        def decays(path: KeyPath, leaf: Any) -> bool:
            named = any(word in name for name in _names(path) for word in words)
            return len(getattr(leaf, "shape", ())) >= 2 and not named

        return jax.tree_util.tree_map_with_path(decays, tree)

    if params is not None:
        return mask(params)
    return Mask(mask, Call(decay_matrices_only, {"params": None, "exclude": tuple(exclude)}))
