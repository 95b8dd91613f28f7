"""A rule for all arrays at once, lifted to trees: for algorithms with numbers of the whole model."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import cast, dtype_of, is_inexact, relaxed_promotion, widen, wider
from ._errors import MissingExtraError, MissingParamsError
from ._leafwise import next_count
from ._leaves import Leaves, has_gradient, is_none, leaves_like
from ._order import Trait
from ._pair import GradientTransformationExtraArgs
from ._rule import dtype_by_state, enclosing
from .types import OptState, Params, PyTree, Updates, counter_of


@dataclasses.dataclass(frozen=True, eq=False)
class TreeRule:
    """A rule for all arrays, as `treewise` was given it."""

    name: str
    init: Callable[..., Any]
    update: Callable[..., tuple[list[Any], Any]]
    needs_params: bool
    like_params: bool
    extra: Sequence[str]
    settings: Callable[[PyTree], PyTree] | None
    told: Sequence[str]

    def init_tree(self, params: Params) -> OptState:
        """The state of a tree: lists become trees like `params`."""
        leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
        present = [i for i, p in enumerate(leaves) if has_gradient(p)]
        given: dict[str, Any] = {}
        if self.init_needs_settings and self.settings is not None:
            every = leaves_like(self.name, "parameter", params, "settings", self.settings(params))
            given = {"settings": [every[i] for i in present]}

        def tree(values: list[Any]) -> PyTree:
            column: list[Any] = [None] * len(leaves)
            for i, value in zip(present, values, strict=True):
                column[i] = value
            return treedef.unflatten(column)

        state = self.init([leaves[i] for i in present], **given)
        made = {f: tree(x) for f, x in _lists(state).items()}
        counter = counter_of(state)
        if counter is not None:
            made[counter] = jnp.array(getattr(state, counter), jnp.int32)
        return state._replace(**made)

    def update_tree(
        self, updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        """One step of a tree."""
        if self.needs_params and params is None:
            raise MissingParamsError(self.name)
        for argument in self.extra:
            if extra_args.get(argument) is None:
                raise MissingExtraError(self.name, argument)
        leaves = Leaves(self.name, updates, params)
        lists = {f: self._list(leaves, f, getattr(state, f)) for f in self.tree_fields}
        counter = counter_of(state)
        count = {counter: next_count(getattr(state, counter))} if counter else {}
        heard = [argument for argument in self.told if extra_args.get(argument) is not None]
        extra = {argument: extra_args[argument] for argument in (*self.extra, *heard)}
        settings = None
        if self.settings is not None:
            every = leaves.all_of("settings", self.settings(updates if params is None else params))
            settings = tuple(every[i] for i in leaves.present)
        us, new = self.compiled_step(
            leaves.gs, state._replace(**lists, **count), leaves.ps, extra, settings
        )
        trees = {f: leaves.put(getattr(new, f), getattr(state, f)) for f in lists}
        return leaves.put(us, updates), new._replace(**trees)

    def step(self, gs: Any, state: Any, ps: Any, extra: dict[str, Any], settings: Any) -> tuple[Any, Any]:
        """One step of lists under the dtype policy."""
        given = {} if settings is None else {"settings": list(settings)}
        with relaxed_promotion():
            wide = jax.tree.map(widen, (gs, state, ps))
            us, new = self.update(*wide, **extra, **given)
            us = [cast(u, dtype) for u, dtype in zip(us, self.dtypes(gs, state, ps, settings), strict=True)]
            return us, jax.tree.map(lambda x, like: cast(x, dtype_of(like)), new, state)

    def dtypes(self, gs: list[Any], state: Any, ps: list[Any], settings: Any) -> list[Any]:
        """The dtypes of the updates: see `Rule.dtype_of_update`."""
        if any(p is not None for p in ps):
            pairs = zip(gs, ps, strict=True)
            return [wider(g.dtype, p.dtype) if is_inexact(p) else g.dtype for g, p in pairs]
        kept, would = self.columns(state), self.columns(self.state_like(gs, settings))

        def pairs_of(i: int) -> list[Any]:
            both = ([column[i] for column in columns.values()] for columns in (kept, would))
            return list(zip(*map(jax.tree.leaves, both), strict=True))

        return [dtype_by_state(g.dtype, pairs_of(i)) for i, g in enumerate(gs)]

    def columns(self, state: Any) -> dict[str, list[Any]]:
        """The fields of a state of lists that follow the parameters."""
        return {f: getattr(state, f) for f in self.tree_fields}

    def state_like(self, gs: list[Any], settings: Any) -> Any:
        """The state that parameters like the gradients would have: shapes and dtypes, in lists."""
        given = {"settings": list(settings)} if self.init_needs_settings else {}
        init = functools.partial(self.init, **given)
        return jax.eval_shape(init, [jax.ShapeDtypeStruct(g.shape, g.dtype) for g in gs])

    @functools.cached_property
    def compiled_step(self) -> Callable[..., tuple[Any, Any]]:
        """`step` as one program."""
        return jax.jit(self.step, static_argnums=4)

    @functools.cached_property
    def tree_fields(self) -> list[str]:
        """The fields of the state that follow the parameters."""
        given = {"settings": []} if self.init_needs_settings else {}
        return list(_lists(jax.eval_shape(lambda: self.init([], **given))))

    @functools.cached_property
    def init_needs_settings(self) -> bool:
        """Whether the shapes of the state depend on the settings."""
        return "settings" in inspect.signature(self.init).parameters

    def _list(self, leaves: Leaves, field: str, tree: PyTree) -> list[Any]:
        return leaves.of(f"state's {field}", tree, same_shape=self.like_params)


def _lists(state: Any) -> dict[str, list[Any]]:
    """The fields of a state that are lists."""
    return {f: getattr(state, f) for f in state._fields if isinstance(getattr(state, f), list)}


def treewise(
    init: Callable[..., Any],
    update: Callable[..., tuple[list[Any], Any]],
    *,
    name: str | None = None,
    needs_params: bool = True,
    like_params: bool = True,
    extra: Sequence[str] = (),
    settings: Callable[[PyTree], PyTree] | None = None,
    told: Sequence[str] = (),
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
            So does `init`, if it has an argument of this name.
        told: numeric extra arguments that `update` gets only if the user gives them.
        traits: what the rule says about itself, see `Trait`.
    """
    rule = TreeRule(
        name or enclosing(update), init, update, needs_params, like_params, extra, settings, told
    )
    return GradientTransformationExtraArgs(rule.init_tree, rule.update_tree, traits=traits)
