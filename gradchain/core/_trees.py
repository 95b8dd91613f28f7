"""A rule for all arrays at once, lifted to trees: for algorithms with numbers of the whole model."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import cast, dtype_of, is_inexact, relaxed_promotion, widen, wider
from ._errors import MissingExtraError, MissingParamsError
from ._leaves import Leaves, has_gradient, is_none
from ._order import Trait
from ._pair import GradientTransformationExtraArgs
from ._rules import dtype_by_state, enclosing, next_count
from .types import OptState, Params, PyTree, Updates, counter_of


def treewise(
    init: Callable[[list[Any]], Any],
    update: Callable[..., tuple[list[Any], Any]],
    *,
    name: str | None = None,
    needs_params: bool = True,
    like_params: bool = True,
    extra: Sequence[str] = (),
    settings: Callable[[PyTree], PyTree] | None = None,
    traits: Iterable[Trait] = (),
) -> GradientTransformationExtraArgs:
    """Lifts a rule for all arrays to trees.

    It is written like a rule for one array (see `leafwise`), but on lists of those leaves that have a
    gradient: `g`, `p`, `u`, and the fields of the state that follow the parameters. The other fields are
    single arrays. `each` of `core.lists` runs a function on every row of such lists.

    Args:
        init: `init(p) -> state`, a NamedTuple. A field that is a list becomes a tree like the parameters.
        update: `update(g, s, p, **extra) -> (u, s)`; `s.count`, if there is one, is the number of this
            step, from 1. Arrays come in at least float32; the state is stored in the dtypes it had, and `u`
            gets the wider dtype of gradient and parameter.
        name: what errors call the rule, by default the function in which `update` is defined.
        needs_params: whether `update` reads `p`.
        like_params: whether every list has the parameters' shapes.
        extra: numeric extra arguments that `update` needs.
        settings: a function from the parameters (from the updates, where `update` gets no parameters) to
            a tree like them. `update` gets its leaves as the list `settings`; they are static and hashable.
        traits: what the rule says about itself, see `Trait`.
    """
    name = name or enclosing(update)

    def init_tree(params: Params) -> OptState:
        leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
        present = [i for i, p in enumerate(leaves) if has_gradient(p)]

        def tree(values: list[Any]) -> PyTree:
            column: list[Any] = [None] * len(leaves)
            for i, value in zip(present, values, strict=True):
                column[i] = value
            return treedef.unflatten(column)

        state = init([leaves[i] for i in present])
        made = {f: tree(x) for f, x in _lists(state).items()}
        counter = counter_of(state)
        if counter is not None:
            made[counter] = jnp.asarray(getattr(state, counter), jnp.int32)
        return state._replace(**made)

    @functools.cache
    def tree_fields() -> list[str]:
        return list(_lists(jax.eval_shape(lambda: init([]))))

    def step(gs: Any, state: Any, ps: Any, more: dict[str, Any], settings: Any) -> tuple[Any, Any]:
        given = {} if settings is None else {"settings": list(settings)}
        with relaxed_promotion():
            wide = jax.tree.map(widen, (gs, state, ps))
            us, new = update(*wide, **more, **given)
            us = [cast(u, dtype) for u, dtype in zip(us, dtypes(gs, state, ps), strict=True)]
            return us, jax.tree.map(lambda x, like: cast(x, dtype_of(like)), new, state)

    def dtypes(gs: list[Any], state: Any, ps: list[Any]) -> list[Any]:
        if any(p is not None for p in ps):
            return [
                wider(g.dtype, p.dtype) if is_inexact(p) else g.dtype for g, p in zip(gs, ps, strict=True)
            ]
        like_gs = jax.eval_shape(init, [jax.ShapeDtypeStruct(g.shape, g.dtype) for g in gs])
        columns = zip(_lists(state).values(), _lists(like_gs).values(), strict=True)
        pairs = [list(zip(kept, like, strict=True)) for kept, like in columns]
        return [dtype_by_state(g.dtype, [pair[i] for pair in pairs]) for i, g in enumerate(gs)]

    compiled_step = jax.jit(step, static_argnums=4)

    def update_tree(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        if needs_params and params is None:
            raise MissingParamsError(name)
        for argument in extra:
            if extra_args.get(argument) is None:
                raise MissingExtraError(name, argument)
        leaves = Leaves(name, updates, params)
        rows = {
            f: leaves.of(f"state's {f}", getattr(state, f), same_shape=like_params) for f in tree_fields()
        }
        counter = counter_of(state)
        count = {counter: next_count(getattr(state, counter))} if counter else {}
        given = None
        if settings is not None:
            found = leaves.all_of("settings", settings(updates if params is None else params))
            given = tuple(found[i] for i in leaves.present)
        more = {argument: extra_args[argument] for argument in extra}
        us, new = compiled_step(leaves.gs, state._replace(**rows, **count), leaves.ps, more, given)
        trees = {f: leaves.put(getattr(new, f), getattr(state, f)) for f in rows}
        return leaves.put(us, updates), new._replace(**trees)

    return GradientTransformationExtraArgs(init_tree, update_tree, traits=traits)


def _lists(state: Any) -> dict[str, list[Any]]:
    """The fields of a state that follow the parameters."""
    return {f: getattr(state, f) for f in state._fields if isinstance(getattr(state, f), list)}
