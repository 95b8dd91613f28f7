"""A rule for one array, lifted once to trees.

Everything a rule need not know lives here: trees, None and masked leaves, the dtype policy, paths in
errors, tracing. A rule runs under an inner `jax.jit`, so it is traced and lowered once per distinct
leaf shape instead of once per leaf, and outside `jit` a leaf costs one dispatch.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp

from ._dtypes import cast, dtype_of, is_inexact, relaxed_promotion, widen, wider
from ._errors import LeafError, MissingParamsError, path_of_leaf
from ._leaves import Leaves, check_leaf, has_gradient, is_none
from ._order import Trait
from ._pair import GradientTransformationExtraArgs
from .numerics import safe_increment
from .types import EmptyState, OptState, Params, Schedule, Updates, counter_of

next_count = jax.jit(safe_increment)


def enclosing(function: Callable[..., Any]) -> str:
    """The name of the function in which `function` is defined."""
    return function.__qualname__.removesuffix(f".<locals>.{function.__name__}").rpartition(".")[2]


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule for one array, as `leafwise` was given it.

    `schedules` are those of its numbers, by argument; `remake` makes the rule for values of them.
    """

    name: str
    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], tuple[Any, Any]]
    needs_params: bool
    like_params: bool
    scheduled_state: Any = None
    schedules: Mapping[str, Schedule] = dataclasses.field(default_factory=dict)
    remake: Callable[..., Self] | None = None

    def with_schedules(self, schedules: Mapping[str, Schedule], remake: Callable[..., Self]) -> Self:
        """The same rule, remade for the values of schedules."""
        return dataclasses.replace(self, schedules=schedules, remake=remake)

    def numbers(self, count: Any) -> dict[str, Any]:
        """The values of the schedules, after `count` steps."""
        return values_of(self.schedules, count)

    def init_tree(self, params: Params) -> OptState:
        """The state of a tree: each field a tree like `params`, but one count."""
        rule = self.at(self.numbers(jnp.zeros([], jnp.int32)))
        leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
        states = [rule.init(p) if has_gradient(p) else None for p in leaves]
        known = [s for s in states if s is not None]
        like = known[0] if known else rule.init(jnp.zeros(()))
        if not hasattr(like, "_fields"):
            raise TypeError(f"{self.name}: init must return a NamedTuple, received {type(like).__name__}.")
        columns = {
            field: jax.tree.unflatten(treedef, [None if s is None else getattr(s, field) for s in states])
            for field in fields_of(like)
        }
        counter = counter_of(like)
        if counter is not None:
            columns[counter] = jnp.array(getattr(like, counter), jnp.int32)
        state = type(like)(**columns)
        if self.schedules and counter is None and self.scheduled_state is not None:
            return self.scheduled_state(jnp.zeros([], jnp.int32))
        return state

    def at(self, numbers: dict[str, Any]) -> "Rule":
        """The rule for these values of its schedules."""
        return self.remake(**numbers) if self.remake else self

    def check(self, g: Any, s: Any, p: Any) -> None:
        """Raises LeafError unless gradient, state and parameter (None: unknown) fit together."""
        check_leaf(self.name, g, p)
        fields = fields_of(s)
        if any(field is None for field in fields.values()):
            raise LeafError(self.name, "gradient {leaf} is an array but its parameter was None.")
        for field in jax.tree.leaves(fields) if self.like_params else ():
            if jnp.shape(field) != jnp.shape(g):
                raise LeafError(
                    self.name,
                    f"gradient {{leaf}} has shape {jnp.shape(g)} but its state has shape "
                    f"{jnp.shape(field)}: call init again with the parameters now in use.",
                )

    def check_state(self, old: Any, new: Any) -> None:
        """Raises TypeError unless `update` returned a state of the class it was given."""
        if type(new) is not type(old):
            raise TypeError(
                f"{self.name}: update must return (u, {type(old).__name__}), received {type(new).__name__} "
                "as the state. Make it by s._replace(...)."
            )

    def dtype_of_update(self, g: Any, s: Any, p: Any) -> Any:
        """The dtype of an update: see the policy in `_dtypes.py`."""
        keeps_some = any(map(is_inexact, jax.tree.leaves(fields_of(s))))
        if not (keeps_some or self.needs_params):
            return dtype_of(g)
        if p is not None:
            return wider(dtype_of(g), dtype_of(p)) if is_inexact(p) else dtype_of(g)
        like_g = jax.eval_shape(self.init, jax.ShapeDtypeStruct(jnp.shape(g), dtype_of(g)))
        pairs = zip(jax.tree.leaves(fields_of(s)), jax.tree.leaves(fields_of(like_g)), strict=True)
        return dtype_by_state(dtype_of(g), pairs)


def values_of(schedules: Mapping[str, Schedule], count: Any) -> dict[str, Any]:
    """The values of schedules, by argument, after `count` steps."""
    with relaxed_promotion():
        return {name: schedule(count) for name, schedule in schedules.items()}


def dtype_by_state(dtype: Any, pairs: Iterable[tuple[Any, Any]]) -> Any:
    """The dtype of an update whose parameter is unknown.

    Args: dtype, the gradient's; pairs (kept, what would be kept for a parameter of that dtype).
    """
    wide = [x.dtype for x, like in pairs if is_inexact(x) and wider(x.dtype, like.dtype) != like.dtype]
    return wider(dtype, *wide)


def fields_of(state: Any) -> dict[str, Any]:
    """The fields of a state but its count, by name."""
    counter = counter_of(state)
    return {field: getattr(state, field) for field in state._fields if field != counter}


def fused(rules: Sequence[Rule]) -> Callable[..., tuple[Updates, tuple[Any, ...]]]:
    """The update of a chain of rules, `(updates, states, params) -> (updates, states)`.

    All rules take one leaf in one inner `jit`: one call per leaf however long the chain is.
    """

    def leaf_step(g: Any, states: Any, p: Any, numbers: Any) -> tuple[Any, Any]:
        news = []
        for rule, s, values in zip(rules, states, numbers, strict=True):
            rule.check(g, s, p)
            with relaxed_promotion():
                wide_s, wide_p = jax.tree.map(widen, s), None if p is None else widen(p)
                u, new = rule.at(values).update(widen(g), wide_s, wide_p)
                rule.check_state(s, new)
                new = jax.tree.map(lambda x, old: cast(x, dtype_of(old)), new, s)
                g = cast(u, rule.dtype_of_update(g, s, p))
            news.append(tuple(fields_of(new).values()))
        return g, news

    leaf_step.__name__ = leaf_step.__qualname__ = "_".join(rule.name for rule in rules)
    compiled_step = jax.jit(leaf_step)
    numbers_at = jax.jit(lambda counts: [rule.numbers(n) for rule, n in zip(rules, counts, strict=True)])
    any_schedule = any(rule.schedules for rule in rules)

    def update(updates: Updates, states: Sequence[Any], params: Params | None) -> Any:
        for rule in rules:
            if rule.needs_params and params is None:
                raise MissingParamsError(rule.name)
        leaves = Leaves(rules[0].name, updates, params, check=False)  # the rules check at their trace
        columns = [_Columns(leaves, rule, state) for rule, state in zip(rules, states, strict=True)]
        numbers = numbers_at([column.count for column in columns]) if any_schedule else [{} for _ in rules]
        us = list(leaves.all)
        for i, g, p in zip(leaves.present, leaves.gs, leaves.ps, strict=True):
            try:
                us[i], news = compiled_step(g, [column.at(i) for column in columns], p, numbers)
            except LeafError as error:
                raise error.at(path_of_leaf(updates, i)) from None
            for column, new in zip(columns, news, strict=True):
                column.put(i, new)
        return leaves.treedef.unflatten(us), tuple(column.tree() for column in columns)

    return update


class _Columns:
    """The state of a rule while its leaves take a step: the leaves of each field, and the count."""

    def __init__(self, leaves: Leaves, rule: Rule, state: Any):
        if not hasattr(state, "_fields"):
            raise ValueError(
                f"{rule.name}: the state must be the one that init gives, a NamedTuple, received "
                f"{type(state).__name__}. Call init first."
            )
        self.state, self.treedef = state, leaves.treedef
        self.fields = {f: leaves.all_of(f"state's {f}", tree) for f, tree in fields_of(state).items()}
        counter = counter_of(state)
        self.count = getattr(state, counter) if counter else None
        self.next = {counter: next_count(self.count)} if counter else {}

    def at(self, i: int) -> Any:
        """The state of leaf `i`, whose count is the number of this step."""
        return self.state._replace(**{f: column[i] for f, column in self.fields.items()}, **self.next)

    def put(self, i: int, values: Sequence[Any]) -> None:
        """Replaces the fields of leaf `i`."""
        for column, value in zip(self.fields.values(), values, strict=True):
            column[i] = value

    def tree(self) -> Any:
        """The state of the tree."""
        trees = {f: self.treedef.unflatten(column) for f, column in self.fields.items()}
        return self.state._replace(**trees, **self.next)


def leafwise(
    init: Callable[[Any], Any],
    update: Callable[[Any, Any, Any], tuple[Any, Any]],
    *,
    name: str | None = None,
    needs_params: bool = False,
    like_params: bool = True,
    scheduled_state: Any = None,
    traits: Iterable[Trait] = (),
) -> GradientTransformationExtraArgs:
    """Lifts a rule for one array to trees.

    Args:
        init: `init(p) -> state`, a NamedTuple, of one parameter `p`. In the state of a tree every field is
            a tree like the parameters, except `count` (or `t`): that is one int32, which the lift keeps.
        update: `update(g, s, p) -> (u, s)` for one gradient `g`, its state `s`, whose `count` is the number
            of this step, from 1, and its parameter `p`, None if the user gave none. The new state is made
            by `s._replace(...)`. All arrays come in at least float32; the state is stored in the dtypes it
            had, and `u` gets the wider dtype of gradient and parameter (see `core/_dtypes.py`).
        name: what errors call the rule, by default the function in which `update` is defined.
        needs_params: whether `update` reads `p`.
        like_params: whether every field has the parameter's shape.
        scheduled_state: the class `(count)` of the state where a number is a schedule, if `init` gives an
            `EmptyState`.
        traits: what the rule says about itself, see `Trait`.

    Returns: the pair. A leaf without a gradient (None, float0) keeps its state and gets no update.
    """
    rule = Rule(name or enclosing(update), init, update, needs_params, like_params, scheduled_state)
    return lifted(rule, traits)


def lifted(rule: Rule, traits: Iterable[Trait] = ()) -> GradientTransformationExtraArgs:
    """The pair of a rule."""
    step = fused((rule,))

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        updates, (state,) = step(updates, (state,), params)
        return updates, state

    return GradientTransformationExtraArgs(rule.init_tree, update, rule=rule, traits=traits)


def init_empty_state(params: Params) -> EmptyState:
    """The `init` of a transformation, or of a rule, that keeps no state."""
    return EmptyState()
