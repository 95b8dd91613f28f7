"""A rule for one array: what `leafwise` was given, and what it must keep to."""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp

from ._dtypes import dtype_of, is_inexact, relaxed_promotion, wider
from ._errors import LeafError
from ._leaves import check_leaf, has_gradient, is_none
from .types import OptState, Params, Schedule, counter_of


def enclosing(function: Callable[..., Any]) -> str:
    """The name of the function in which `function` is defined."""
    return function.__qualname__.removesuffix(f".<locals>.{function.__name__}").rpartition(".")[2]


@dataclasses.dataclass(eq=False)
class Rule:
    """A rule for one array, as `leafwise` was given it.

    `measure(gs, extra_args)` gives what its `update` needs to know of the whole gradient.
    `schedules` are those of its numbers, by argument, and `constants` the others, if they are known;
    `remake` makes the rule for values of some of them. Rules that differ only in numbers have one `family`.
    """

    name: str
    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]
    needs_params: bool
    like_params: bool
    scheduled_state: Any = None
    measure: Callable[[list[Any], dict[str, Any]], Any] | None = None
    schedules: Mapping[str, Schedule] = dataclasses.field(default_factory=dict)
    remake: Callable[..., "Rule"] | None = None
    constants: Mapping[str, float] = dataclasses.field(default_factory=dict)
    family: Hashable = None

    def with_schedules(self, schedules: Mapping[str, Schedule], remake: Callable[..., "Rule"]) -> Self:
        """The same rule, remade for the values of schedules."""
        return dataclasses.replace(self, schedules=schedules, remake=remake)

    def join(self, family: Hashable, constants: Mapping[str, float], remake: Callable[..., "Rule"]) -> None:
        """Tells a new rule its numbers, and what it has in common with rules that differ only in these."""
        self.family, self.constants, self.remake = family, constants, remake

    def numbers(self, count: Any) -> dict[str, Any]:
        """The values of the schedules, after `count` steps."""
        return values_of(self.schedules, count)

    def init_tree(self, params: Params) -> OptState:
        """The state of a tree: each field a tree like `params`, but one count."""
        rule = self.at(self.numbers(jnp.zeros([], jnp.int32)))
        example = functools.partial(rule.init, jnp.zeros(()))
        state = state_of_tree(self.name, lambda i, p: rule.init(p), params, example)
        counter = counter_of(state)
        if self.schedules and counter is None and self.scheduled_state is not None:
            return self.scheduled_state(jnp.zeros([], jnp.int32))
        return state

    def at(self, numbers: dict[str, Any]) -> "Rule":
        """The rule for these values of its schedules."""
        return self.remake(**numbers) if self.remake and numbers else self

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


def state_of_tree(
    name: str, init: Callable[[int, Any], Any], params: Params, example: Callable[[], Any]
) -> OptState:
    """The state of a tree, from those of its leaves: each field a tree like `params`, but one count.

    Args: init, `init(i, p) -> state`, of leaf `i`; example, makes a state where no leaf has one.
    """
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    states = [init(i, p) if has_gradient(p) else None for i, p in enumerate(leaves)]
    known = [s for s in states if s is not None]
    like = known[0] if known else example()
    if not hasattr(like, "_fields"):
        raise TypeError(f"{name}: init must return a NamedTuple, received {type(like).__name__}.")
    columns = {
        field: treedef.unflatten([None if s is None else getattr(s, field) for s in states])
        for field in fields_of(like)
    }
    counter = counter_of(like)
    if counter is not None:
        columns[counter] = jnp.array(getattr(like, counter), jnp.int32)
    return type(like)(**columns)


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
