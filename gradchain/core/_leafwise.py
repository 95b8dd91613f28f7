"""A rule for one array, lifted once to trees: the kernel.

Everything a rule need not know lives here: trees, None and masked leaves, the dtype policy, paths in
errors, tracing. A rule runs under an inner `jax.jit`, so it is traced and lowered once per distinct
leaf shape instead of once per leaf, and outside `jit` a leaf costs one dispatch.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._apply import added, apply_one
from ._conditional import wrapper
from ._dtypes import cast, dtype_of, is_inexact, relaxed_promotion, widen
from ._errors import LeafError, MissingParamsError, path_of_leaf
from ._leaves import Leaves
from ._one_pass import in_one_pass
from ._order import Trait
from ._packed import has_packed, packed_like, true_after, unpacked
from ._pair import GradientTransformationExtraArgs
from ._rule import Rule, enclosing, fields_of
from ._siblings import siblings
from .numerics import safe_increment
from .types import EmptyState, OptState, Params, Updates, counter_of

next_count = jax.jit(safe_increment)

AFTER = "_after"
"""The extra argument that makes the steps of rules wait for what reads the old arrays: a boolean, True.

XLA copies an array that is read and overwritten, unless one depends on the other.
"""


def without_after(extra_args: dict[str, Any]) -> dict[str, Any]:
    """The extra arguments that functions of the user are told."""
    return {name: value for name, value in extra_args.items() if name != AFTER}


class Fused:
    """Rules for one array that take a step together, in one inner `jit`: one call per leaf for all of them.

    Args:
        rules: of which only the first may measure the gradient.
        owners: what errors call each of them, or None for its own name.
    """

    def __init__(self, rules: Sequence[Rule], owners: Sequence[str | None]):
        self.rules, self.owners = rules, owners
        self.name = "_".join(rule.name for rule in rules)

    def __call__(
        self,
        whole: bool,
        updates: Updates,
        states: Sequence[Any],
        params: Params | None,
        extra_args: dict[str, Any],
    ) -> tuple[Any, list[Any]]:
        """The updates, or with `whole` the new parameters, and the new states."""
        for rule, owner in zip(self.rules, self.owners, strict=True):
            if rule.needs_params and params is None:
                raise MissingParamsError(owner or rule.name)
        leaves = Leaves(self.rules[0].name, updates, params, check=False)  # the rules check at their trace
        columns = [_Columns(leaves, rule, state) for rule, state in zip(self.rules, states, strict=True)]
        numbers: Any = [{} for _ in self.rules]
        if any(rule.schedules for rule in self.rules):
            numbers = self.numbers_at([column.count for column in columns])
        programs, together = self, siblings()
        if together is not None and (shared := together.share(self)) is not None:
            programs, constants = shared
            numbers = [{**given, **now} for given, now in zip(constants, numbers, strict=True)]
        measured = self.measured(leaves.gs, extra_args)
        results = leaves.all_of("parameters", params) if whole else list(leaves.all)
        last: Any = None  # true after the packed leaf before: by itself, XLA:CPU would unpack all at once
        for i, g, p in zip(leaves.present, leaves.gs, leaves.ps, strict=True):
            adds = whole and p is not None and is_inexact(p)
            program = programs.step if adds else programs.update
            kept = [column.at(i) for column in columns]
            packed, after = has_packed(kept), extra_args.get(AFTER)
            if packed and last is not None:
                after = last if after is None else after & last
            try:
                results[i], news = program(g, kept, p, numbers, measured, after)
            except LeafError as error:
                raise error.at(path_of_leaf(updates, i)) from None
            if whole and not adds:
                results[i] = apply_one(params, i, p, results[i])
            for column, new in zip(columns, news, strict=True):
                column.put(i, new)
            last = true_after(news) if packed and jax.default_backend() == "cpu" else None
        return leaves.treedef.unflatten(results), [column.tree() for column in columns]

    def measured(self, gs: list[Any], extra_args: dict[str, Any]) -> tuple[Any, ...]:
        """What the first rule is told of the whole gradient, if it asks: an argument of its update."""
        measure = self.rules[0].measure
        if measure is None or not gs:
            return ()
        with relaxed_promotion():
            return (measure(gs, extra_args),)

    def leaf_update(
        self, g: Any, states: Any, p: Any, numbers: Any, measured: Any, after: Any
    ) -> tuple[Any, Any]:
        """The update of one leaf, and the new fields of its states, under the dtype policy."""
        news = []
        if after is not None:
            g = jnp.where(after, g, jnp.zeros_like(g))
        for rule, kept, values in zip(self.rules, states, numbers, strict=True):
            s = unpacked(kept)
            rule.check(g, s, p)
            with relaxed_promotion():
                wide_s, wide_p = jax.tree.map(widen, s), None if p is None else widen(p)
                u, new = rule.at(values).update(widen(g), wide_s, wide_p, *measured)
                rule.check_state(s, new)
                new = packed_like(jax.tree.map(lambda x, old: cast(x, dtype_of(old)), new, s), kept)
                g = cast(u, rule.dtype_of_update(g, s, p))
            news.append(tuple(fields_of(new).values()))
            measured = ()
        return g, news

    def leaf_step(
        self, g: Any, states: Any, p: Any, numbers: Any, measured: Any, after: Any
    ) -> tuple[Any, Any]:
        """The new parameter of one leaf, and the new fields of its states."""
        u, news = self.leaf_update(g, states, p, numbers, measured, after)
        return added(p, u), news

    @functools.cached_property
    def update(self) -> Any:
        """`leaf_update` as a program."""
        return in_one_pass(self.leaf_update, self.name)

    @functools.cached_property
    def step(self) -> Any:
        """`leaf_step` as a program."""
        return in_one_pass(self.leaf_step, self.name)

    @functools.cached_property
    def numbers_at(self) -> Any:
        """The values of the rules' schedules at their counts, as a program."""

        @jax.jit
        def numbers_at(counts: Any) -> list[dict[str, Any]]:
            return [rule.numbers(count) for rule, count in zip(self.rules, counts, strict=True)]

        return numbers_at


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
    update: Callable[..., tuple[Any, Any]],
    *,
    name: str | None = None,
    needs_params: bool = False,
    like_params: bool = True,
    scheduled_state: Any = None,
    measure: Callable[[list[Any], dict[str, Any]], Any] | None = None,
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
        measure: `measure(gs, extra_args) -> m`, of all gradients and the extra arguments: scalars of the
            whole gradient. `update` gets `m` as a fourth argument.
        traits: what the rule says about itself, see `Trait`.

    Returns: the pair. A leaf without a gradient (None, float0) keeps its state and gets no update.

    Example:
        >>> tx = gc.leafwise(gc.init_empty_state, lambda g, s, p: (-g * abs(p), s), needs_params=True)
        >>> p = {"w": jnp.array([2.0, -3.0])}
        >>> tx.update({"w": jnp.ones(2)}, tx.init(p), p)[0]["w"].tolist()
        [-2.0, -3.0]
    """
    rule = Rule(
        name or enclosing(update), init, update, needs_params, like_params, scheduled_state, measure
    )
    return lifted(rule, traits)


def lifted(rule: Rule, traits: Iterable[Trait] = ()) -> GradientTransformationExtraArgs:
    """The pair of a rule."""
    fused = Fused((rule,), (None,))

    def run(
        whole: bool, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        result, (state,) = fused(whole, updates, (state,), params, extra_args)
        return result, state

    return wrapper(rule.init_tree, run, rule=rule, traits=traits)


def init_empty_state(params: Params) -> EmptyState:
    """The `init` of a transformation, or of a rule, that keeps no state."""
    return EmptyState()
