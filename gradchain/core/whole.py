"""A rule for the whole tree, lifted once: what algorithms with global scalars need of trees.

`treewise` gives a rule the leaves that have a gradient as plain lists, in at least float32, and
puts its results back: None and masked leaves, dtypes, paths in errors and tracing live here. The
rule runs under one `jax.jit`; what it does to each leaf goes through `each`, so that it is traced
once per distinct shape.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .dtypes import (
    cast,
    compute_dtype,
    dtype_of,
    is_inexact,
    moment_dtype,
    real_dtype,
    relaxed_promotion,
    widen,
)
from .errors import LeafError, MissingParamsError, missing_extra, path_of_leaf
from .lift import check_leaf, is_absent, is_none, leaves_like
from .numerics import abs_sq, zeros_like
from .pair import GradientTransformationExtraArgs
from .types import OptState, Params, Updates


def each(f: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
    """`f` of every row, traced once per distinct shape."""
    compiled = jax.jit(f)
    return [compiled(*row) for row in zip(*columns, strict=True)]


def each_of(n: int, f: Callable[..., tuple[Any, ...]], *columns: Sequence[Any]) -> list[list[Any]]:
    """`each` for an `f` that returns `n` arrays: `n` lists."""
    rows = each(f, *columns)
    return [[row[i] for row in rows] for i in range(n)]


def total(parts: Sequence[Any]) -> Any:
    """The sum of scalars; 0 if there are none."""
    return sum(parts[1:], start=parts[0]) if parts else jnp.zeros(())


def dot(xs: Sequence[Any], ys: Sequence[Any]) -> jax.Array:
    """The real inner product of two lists of arrays."""
    return total(each(lambda x, y: jnp.sum(jnp.real(jnp.conj(x) * y)), xs, ys))


def sum_sq(xs: Sequence[Any]) -> jax.Array:
    """The squared norm of a list of arrays."""
    return total(each(lambda x: jnp.sum(abs_sq(x)), xs))


def sum_abs(xs: Sequence[Any]) -> jax.Array:
    """The 1-norm of a list of arrays."""
    return total(each(lambda x: jnp.sum(jnp.abs(x)), xs))


def ratio(x: Any, y: Any) -> jax.Array:
    """x / y, and 0 where y is 0."""
    return jnp.where(y == 0, 0, x / jnp.where(y == 0, 1, y))


def at(value: Any, count: Any) -> Any:
    """A number, or a schedule's value at `count`."""
    return value(count) if callable(value) else value


def copy_of(p: Any, dtype: Any = None) -> jax.Array:
    """A copy of a parameter that may be donated apart from it; zeros where only a shape is known."""
    if isinstance(p, jax.ShapeDtypeStruct):
        return zeros_like(p, dtype)
    return jnp.array(p, dtype=moment_dtype(dtype_of(p), dtype), copy=True)


def wide_like(p: Any) -> jax.Array:
    """Zeros of `p`'s shape in at least float32 (complex64)."""
    return zeros_like(p, compute_dtype(dtype_of(p)))


def scalar_dtype(params: Params) -> Any:
    """The dtype of a scalar that goes with the whole tree: its narrowest, real, at least float32."""
    found = [compute_dtype(real_dtype(dtype_of(p))) for p in jax.tree.leaves(params) if is_inexact(p)]
    return min(found, key=lambda d: d.itemsize) if found else jax.dtypes.canonicalize_dtype(float)


class Present:
    """The leaves that have a gradient, of trees that go together.

    Args: name, for errors; updates, the gradients; params, the parameters or None.
    Raises: ValueError, with the path, unless `updates` can be gradients of `params`.
    """

    ps: list[Any]  # the parameters of the leaves that have a gradient; empty without parameters

    def __init__(self, name: str, updates: Updates, params: Params | None = None):
        self.name, self.updates = name, updates
        self.leaves, self.treedef = jax.tree.flatten(updates, is_leaf=is_none)
        self.places = [i for i, g in enumerate(self.leaves) if not is_absent(g)]
        ps = None if params is None else self.all_of("parameters", params)
        for i in self.places:
            self._check(i, lambda i=i: check_leaf(name, self.leaves[i], None if ps is None else ps[i]))
        self.gs = [self.leaves[i] for i in self.places]
        self.ps = [] if ps is None else [ps[i] for i in self.places]

    def _check(self, i: int, check: Callable[[], None]) -> None:
        try:
            check()
        except LeafError as error:
            raise error.at(path_of_leaf(self.updates, i)) from None

    def all_of(self, what: str, tree: Any) -> list[Any]:
        """All leaves of a tree like the updates."""
        return leaves_like(self.name, "gradient", self.updates, what, tree)

    def of(self, what: str, tree: Any) -> list[Any]:
        """Those leaves of a tree like the updates that have a gradient, of the gradient's shape."""
        leaves = self.all_of(what, tree)

        def check(i: int) -> None:
            if leaves[i] is None:
                raise LeafError(self.name, "gradient {leaf} is an array but its parameter was None.")
            if jnp.shape(leaves[i]) != jnp.shape(self.leaves[i]):
                raise LeafError(
                    self.name,
                    f"gradient {{leaf}} has shape {jnp.shape(self.leaves[i])} but its {what} has shape "
                    f"{jnp.shape(leaves[i])}.",
                )

        for i in self.places:
            self._check(i, lambda i=i: check(i))
        return [leaves[i] for i in self.places]

    def put(self, values: Sequence[Any], tree: Any) -> Any:
        """`tree` with the leaves that have a gradient replaced."""
        leaves = list(self.all_of("state", tree))
        for i, value in zip(self.places, values, strict=True):
            leaves[i] = value
        return jax.tree.unflatten(self.treedef, leaves)


def treewise(
    state_type: Any,
    trees: Sequence[str],
    init: Callable[[Params], OptState],
    update: Callable[..., tuple[list[Any], Any]],
    *,
    name: str | None = None,
    needs_params: bool = True,
    extra: Sequence[str] = (),
    decayed: Callable[[Params], Params] | None = None,
) -> GradientTransformationExtraArgs:
    """Lifts a rule for lists of arrays to trees.

    Args:
        state_type: the NamedTuple of the state.
        trees: those of its fields that are trees like the parameters; the others are small.
        init: the pair's `init`.
        update: `update(g, s, p, **extra) -> (u, s)`, where `g`, `p`, `u` and the fields `trees` of `s`
            are lists of those leaves that have a gradient, all in at least float32. Results are
            stored in the dtypes of the old state and returned in the dtypes of the gradients.
        name: what errors call the rule, by default the function in which `update` is defined.
        needs_params: whether `update` reads `p`.
        extra: numeric extra arguments that `update` needs.
        decayed: if given, `update` gets its result for the parameters, as a list `decayed`.
    """
    name = name or update.__qualname__.partition(".")[0]

    @jax.jit
    def step(gs: Any, state: Any, ps: Any, more: dict[str, Any]) -> tuple[Any, Any]:
        with relaxed_promotion():
            wide = jax.tree.map(widen, (gs, state, ps))
            us, new = update(*wide, **more)
            us = [cast(u, dtype_of(g)) for u, g in zip(us, gs, strict=True)]
            return us, jax.tree.map(lambda x, like: cast(x, dtype_of(like)), new, state)

    def update_tree(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        if needs_params and params is None:
            raise MissingParamsError(name)
        for argument in extra:
            if extra_args.get(argument) is None:
                raise missing_extra(name, argument)
        present = Present(name, updates, params)
        listed = state._replace(**{f: present.of(f"state's {f}", getattr(state, f)) for f in trees})
        more = {argument: extra_args[argument] for argument in extra}
        if decayed is not None:
            more["decayed"] = jax.tree.map(widen, present.of("parameters", decayed(params)))
        us, new = step(present.gs, listed, present.ps, more)
        new = new._replace(**{f: present.put(getattr(new, f), getattr(state, f)) for f in trees})
        return present.put(us, updates), state_type(*new)

    return GradientTransformationExtraArgs(init, update_tree)
