"""Which arrays of a state are moments: kept for a parameter, and not made from its values."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..core import GradientTransformation, dtype_of, has_gradient, is_none, is_packed, nearest
from ..core.types import OptState, Params, PyTree
from ..tree.placeholder import is_placeholder, placeholder


def moments_in(
    who: str, tx: GradientTransformation, params: Params, fields: Sequence[str] | None = None
) -> PyTree:
    """Whether each leaf of the state of `tx` is a moment: a tree like the state.

    Args:
        who: for errors.
        fields: the names of the fields that count, instead of moments.

    Raises: ValueError if there is none, or if a name of `fields` is that of no field.
    """
    shapes, made = _first_state(tx, params)
    empty = not any(map(has_gradient, jax.tree.leaves(params)))
    if fields is not None:
        return _named(who, shapes, [fields] if isinstance(fields, str) else fields, empty)
    pattern, outer = jax.tree.flatten(tx.init(placeholder()), is_leaf=_ends)
    ps, treedef = jax.tree.flatten(params, is_leaf=is_none)

    def of_param(p: Any, shapes: PyTree, made: PyTree) -> PyTree:
        def of_array(x: Any, made: Any) -> Any:  # which may be in few bits, and then is several leaves
            chosen = x.shape == jnp.shape(p) and not any(jax.tree.leaves(made))
            return jax.tree.map(lambda _: chosen, x)

        return jax.tree.map(of_array, shapes, made, is_leaf=is_packed)

    def of_slot(like: Any, shapes: PyTree, made: PyTree) -> PyTree:
        if not is_placeholder(like):
            return jax.tree.map(lambda _: False, shapes)
        columns = treedef.flatten_up_to(shapes), treedef.flatten_up_to(made)
        return treedef.unflatten(map(of_param, ps, *columns))

    try:
        rows = zip(pattern, outer.flatten_up_to(shapes), outer.flatten_up_to(made), strict=True)
        chosen = outer.unflatten(of_slot(*row) for row in rows)
    except ValueError:  # a state that is not kept by parameter
        chosen = jax.tree.map(lambda _: False, shapes)
    if not (empty or any(jax.tree.leaves(chosen))):
        raise ValueError(
            f"{who}: there is no moment in the state of {tx!r}: no array of a parameter's shape that "
            "begins independently of its value. Name what to take with fields=."
        )
    return chosen


def _ends(node: Any) -> bool:
    """Whether a node of a pattern is all the parameters, or an average of them, which is no moment."""
    return is_placeholder(node) or hasattr(node, "as_if_always")


def _named(who: str, shapes: OptState, fields: Sequence[str], empty: bool) -> PyTree:
    """Which leaves of a state are in a field of one of these names."""
    known: dict[str, None] = {}

    def is_named(path: Any, _: Any) -> bool:
        names = [key.name for key in path if hasattr(key, "name")]
        known.update(dict.fromkeys(names))
        return not set(fields).isdisjoint(names)

    chosen = jax.tree_util.tree_map_with_path(is_named, shapes)
    for name in fields:
        if not (empty or name in known):
            raise ValueError(
                f"{who}: the state has no field {name!r}; it has {', '.join(known)}."
                + nearest(name, [*known])
            )
    return chosen


def _first_state(tx: GradientTransformation, params: Params) -> tuple[PyTree, PyTree]:
    """The shapes of the first state, and whether each is computed from values of the parameters."""
    leaves, treedef = jax.tree.flatten(params)
    trained = [i for i, p in enumerate(leaves) if has_gradient(p)]

    def init(arrays: list[Any]) -> OptState:
        filled = list(leaves)
        for i, x in zip(trained, arrays, strict=True):
            filled[i] = x
        return tx.init(treedef.unflatten(filled))

    given = [jax.ShapeDtypeStruct(jnp.shape(leaves[i]), dtype_of(leaves[i])) for i in trained]
    program, shapes = jax.make_jaxpr(init, return_shape=True)(given)
    made = _reached(program.jaxpr, [True] * len(given))
    return shapes, jax.tree.unflatten(jax.tree.structure(shapes), made)


CALLS = {"pjit", "jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"}
"""Primitives that run a program as it is, once."""


def _reached(program: Any, inputs: list[bool]) -> list[bool]:
    """Whether each result of a jaxpr is computed from one of the inputs that are marked."""
    marked = {v for v, mark in zip(program.invars, inputs, strict=True) if mark}

    def marks(variables: Any) -> list[bool]:
        return [not hasattr(v, "val") and v in marked for v in variables]

    for equation in program.eqns:
        given = marks(equation.invars)
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        inner = getattr(inner, "jaxpr", inner)
        if equation.primitive.name in CALLS and len(getattr(inner, "invars", ())) == len(given):
            reached = _reached(inner, given)
        else:
            reached = [any(given)] * len(equation.outvars)
        marked.update(v for v, mark in zip(equation.outvars, reached, strict=True) if mark)
    return marks(program.outvars)
