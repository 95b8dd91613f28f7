"""Masks for weight decay."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.tree_util import KeyPath

from ..core import Call, TreeFunction
from ..core.types import Params, PyTree


def _names(path: KeyPath) -> list[str]:
    """The names along a path, in lower case; positions in lists have none."""
    keys = [getattr(key, "key", getattr(key, "name", None)) for key in path]
    return [key.lower() for key in keys if isinstance(key, str)]


def decay_matrices_only(
    params: Params | None = None, *, exclude: Sequence[str] = ("norm", "bias", "embed")
) -> PyTree | TreeFunction:
    """A mask for weight decay: True for matrices, False for biases, norms and embeddings.

    A leaf is True if it has at least two dimensions and no name on its path contains a word of
    `exclude` (upper or lower case). The words are needed when layers are stacked: then biases have two
    dimensions too. Use it as `adamw(1e-3, mask=decay_matrices_only)`; to decay embeddings as well,
    `adamw(1e-3, mask=decay_matrices_only(exclude=("norm", "bias")))`.

    Args:
        params: the parameters; None returns the mask function for this `exclude`.
        exclude: a leaf does not decay if a name on its path contains one of these words.

    Returns: a tree of booleans, or a mask that prints, compares and pickles by value.

    Example:
        >>> params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "embed": jnp.ones((2, 2))}
        >>> print(gc.decay_matrices_only(params))
        {'bias': False, 'embed': False, 'kernel': True}
    """
    if isinstance(exclude, str):
        raise TypeError(f"decay_matrices_only: exclude must be a sequence of words, received {exclude!r}.")
    excluded = [word.lower() for word in exclude]

    def mask(tree: Params) -> PyTree:
        def decays(path: KeyPath, leaf: Any) -> bool:
            named = any(word in name for name in _names(path) for word in excluded)
            return len(getattr(leaf, "shape", ())) >= 2 and not named

        return jax.tree_util.tree_map_with_path(decays, tree)

    if params is not None:
        return mask(params)
    return TreeFunction(mask, Call(decay_matrices_only, {"params": None, "exclude": tuple(exclude)}))
