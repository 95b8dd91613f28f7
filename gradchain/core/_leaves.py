"""The leaves of trees that go together: gradients, parameters, and a state's fields."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import cast, dtype_of, is_inexact, relaxed_promotion, widen
from ._errors import LeafError, path_of_leaf, tree_mismatch
from .types import Params, Updates


def is_none(x: Any) -> bool:
    """Whether `x` is the None that stands for "no array here"."""
    return x is None


def is_absent(g: Any) -> bool:
    """Whether a leaf has no gradient: None, or the float0 JAX gives for integer parameters."""
    return g is None or getattr(g, "dtype", None) == jax.dtypes.float0


def has_gradient(p: Any) -> bool:
    """Whether a leaf of the parameters is one to train: not None, an integer, or a function."""
    return (hasattr(p, "dtype") or isinstance(p, (float, complex))) and is_inexact(p)


def leaves_like(name: str, what: str, tree: Any, other_what: str, other: Any) -> list[Any]:
    """The leaves of `other` in the order of `tree`'s, None counting as a leaf.

    Raises: ValueError naming the paths, if `other` does not have `tree`'s structure.
    """
    treedef = jax.tree.structure(tree, is_leaf=is_none)
    try:
        return treedef.flatten_up_to(other)
    except ValueError:
        raise tree_mismatch(name, what, tree, other_what, other) from None


def check_leaf(name: str, g: Any, p: Any) -> None:
    """Raises LeafError if `g` cannot be the gradient of an array, or not of `p` (None: unknown)."""
    if not is_inexact(g):
        raise LeafError(
            name,
            f"gradient {{leaf}} has dtype {dtype_of(g)}; expected floating point or complex. "
            "Give None where an integer parameter has no gradient.",
        )
    if p is not None and jnp.shape(g) != jnp.shape(p):
        raise LeafError(
            name, f"gradient {{leaf}} has shape {jnp.shape(g)} but its parameter has shape {jnp.shape(p)}."
        )


def check_updates(name: str, updates: Updates, params: Params | None) -> None:
    """Raises ValueError, with the path, unless `updates` can be gradients of `params` (None: unknown)."""
    if params is not None:
        Leaves(name, updates, params)


class Leaves:
    """The leaves that have a gradient, of trees that go together.

    Args: name, for errors; updates, the gradients; params, the parameters or None; check, whether to.
    Attributes: `all`, every leaf of the updates; `present`, which of them are gradients; `gs` and `ps`,
        these gradients and their parameters (None where unknown).
    Raises: ValueError, with the path, unless `updates` can be gradients of `params`.
    """

    def __init__(self, name: str, updates: Updates, params: Params | None = None, *, check: bool = True):
        self.name, self.updates = name, updates
        self.all, self.treedef = jax.tree.flatten(updates, is_leaf=is_none)
        self.present = [i for i, g in enumerate(self.all) if not is_absent(g)]
        self.gs = [self.all[i] for i in self.present]
        ps = [None] * len(self.all) if params is None else self.all_of("parameters", params)
        self.ps: list[Any] = [ps[i] for i in self.present]
        if check:
            self._check_each(lambda i: check_leaf(name, self.all[i], ps[i]))

    def _check_each(self, check: Callable[[int], None]) -> None:
        """Checks every gradient; a `LeafError` gets the leaf's path."""
        for i in self.present:
            try:
                check(i)
            except LeafError as error:
                raise error.at(path_of_leaf(self.updates, i)) from None

    def all_of(self, what: str, tree: Any) -> list[Any]:
        """All leaves of a tree like the updates."""
        return leaves_like(self.name, "gradient", self.updates, what, tree)

    def of(self, what: str, tree: Any, *, same_shape: bool = True) -> list[Any]:
        """Those leaves of a tree like the updates that have a gradient.

        Raises: ValueError, with the path, for a None among them, or for another shape.
        """
        leaves = self.all_of(what, tree)

        def check(i: int) -> None:
            if leaves[i] is None:
                raise LeafError(self.name, "gradient {leaf} is an array but its parameter was None.")
            if same_shape and jnp.shape(leaves[i]) != jnp.shape(self.all[i]):
                raise LeafError(
                    self.name,
                    f"gradient {{leaf}} has shape {jnp.shape(self.all[i])} but its {what} has shape "
                    f"{jnp.shape(leaves[i])}: call init again with the parameters now in use.",
                )

        self._check_each(check)
        return [leaves[i] for i in self.present]

    def put(self, values: Sequence[Any], tree: Any) -> Any:
        """`tree` with the leaves that have a gradient replaced."""
        leaves = self.all_of("state", tree)
        for i, value in zip(self.present, values, strict=True):
            leaves[i] = value
        return self.treedef.unflatten(leaves)


@jax.jit
def _times(g: Any, factor: Any) -> jax.Array:
    with relaxed_promotion():
        return cast(widen(g) * factor, dtype_of(g))


def scaled(updates: Updates, factor: Any) -> Updates:
    """Every update times one number, in the dtypes of the updates; None stays None."""
    return jax.tree.map(lambda g: g if is_absent(g) else _times(g, factor), updates, is_leaf=is_none)
