"""A rule for one array, lifted once to trees.

Everything a rule need not know lives here: trees, None and masked leaves, the dtype policy, paths in
errors, tracing. A rule runs under an inner `jax.jit`, so it is traced and lowered once per distinct
leaf shape instead of once per leaf, and outside `jit` a leaf costs one dispatch.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .dtypes import cast, dtype_of, is_inexact, relaxed_promotion, widen
from .errors import LeafError, MissingParamsError, path_of_leaf, tree_mismatch
from .numerics import safe_increment
from .pair import GradientTransformationExtraArgs
from .types import OptState, Params, Updates, counter_of

Rule = Callable[[Any, Any, Any], tuple[Any, tuple[Any, ...]]]


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
            name,
            f"gradient {{leaf}} has shape {jnp.shape(g)} but its parameter has shape {jnp.shape(p)}.",
        )


def check_updates(name: str, updates: Updates, params: Params | None) -> None:
    """Raises ValueError, with the path, unless `updates` can be gradients of `params` (None: unknown)."""
    if params is None:
        return
    ps = leaves_like(name, "gradient", updates, "parameters", params)
    for i, (g, p) in enumerate(zip(jax.tree.leaves(updates, is_leaf=is_none), ps, strict=True)):
        if not is_absent(g) and p is not None:
            try:
                check_leaf(name, g, p)
            except LeafError as error:
                raise error.at(path_of_leaf(updates, i)) from None


class LeafRule(NamedTuple):
    """What `leafwise` was given: a rule for one array."""

    name: str
    state_type: Any
    init: Callable[[Any], tuple[Any, ...]]
    update: Rule
    needs_params: bool
    like_params: bool

    @property
    def counter(self) -> str | None:
        """The field of the state that counts steps."""
        return counter_of(self.state_type)

    @property
    def fields(self) -> list[str]:
        """The fields of the state that are trees like the parameters."""
        return [f for f in self.state_type._fields if f != self.counter]

    def state(self, count: Any, values: Iterable[Any]) -> Any:
        """The state from its count and the values of its other fields."""
        rest = iter(values)
        counter = self.counter
        return self.state_type(*(count if f == counter else next(rest) for f in self.state_type._fields))

    def apply(self, g: Any, old: tuple[Any, ...], p: Any, count: Any) -> tuple[Any, Any]:
        """One step of one array under the dtype policy; faults come as `LeafError`."""
        check_leaf(self.name, g, p)
        if any(field is None for field in old):
            raise LeafError(self.name, "gradient {leaf} is an array but its parameter was None.")
        for field in jax.tree.leaves(old) if self.like_params else ():
            if jnp.shape(field) != jnp.shape(g):
                raise LeafError(
                    self.name,
                    f"gradient {{leaf}} has shape {jnp.shape(g)} but its state has shape "
                    f"{jnp.shape(field)}: call init again with the parameters now in use.",
                )
        with relaxed_promotion():
            state = self.state(count, jax.tree.map(widen, old))
            u, new = self.update(widen(g), state, None if p is None else widen(p))
            new = jax.tree.map(lambda x, like: cast(x, dtype_of(like)), new, old)
            return cast(u, dtype_of(g)), new


def fused(rules: Sequence[LeafRule]) -> Callable[..., tuple[Updates, tuple[Any, ...]]]:
    """The update of a chain of rules, `(updates, states, params) -> (updates, states)`.

    All rules take one leaf in one inner `jit`: one call per leaf however long the chain is.
    """

    def leaf_step(g: Any, olds: Any, p: Any, counts: Any) -> tuple[Any, Any]:
        news = []
        for rule, old, count in zip(rules, olds, counts, strict=True):
            g, new = rule.apply(g, old, p, count)
            news.append(new)
        return g, news

    leaf_step.__name__ = leaf_step.__qualname__ = "_".join(rule.name for rule in rules)
    compiled = jax.jit(leaf_step)

    def update(updates: Updates, states: Sequence[Any], params: Params | None) -> Any:
        name = rules[0].name
        for rule in rules:
            if rule.needs_params and params is None:
                raise MissingParamsError(rule.name)
        gs, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        ps = [None] * len(gs)
        if params is not None:
            ps = leaves_like(name, "gradient", updates, "parameters", params)
        counts = [
            safe_increment(getattr(state, rule.counter)) if rule.counter else None
            for rule, state in zip(rules, states, strict=True)
        ]
        rows = [_rows(rule, updates, state, len(gs)) for rule, state in zip(rules, states, strict=True)]
        us, news = [], []
        for i, (g, p, *olds) in enumerate(zip(gs, ps, *rows, strict=True)):
            try:
                u, new = (g, olds) if is_absent(g) else compiled(g, olds, p, counts)
            except LeafError as error:
                raise error.at(path_of_leaf(updates, i)) from None
            us.append(u)
            news.append(new)
        states = tuple(
            _assemble(rule, count, [new[r] for new in news], treedef)
            for r, (rule, count) in enumerate(zip(rules, counts, strict=True))
        )
        return jax.tree.unflatten(treedef, us), states

    return update


def _rows(rule: LeafRule, updates: Updates, state: Any, n: int) -> list[tuple[Any, ...]]:
    """The state of each leaf: its fields, in the order of the updates' leaves."""
    columns = [
        leaves_like(rule.name, "gradient", updates, f"state's {f}", getattr(state, f)) for f in rule.fields
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * n


def _assemble(rule: LeafRule, count: Any, rows: list[tuple[Any, ...]], treedef: Any) -> Any:
    """The state of a tree from the states of its leaves."""
    columns = ([row[i] for row in rows] for i in range(len(rule.fields)))
    return rule.state(count, [jax.tree.unflatten(treedef, column) for column in columns])


def leafwise(
    state_type: Any,
    init: Callable[[Any], tuple[Any, ...]],
    update: Rule,
    *,
    name: str | None = None,
    needs_params: bool = False,
    like_params: bool = True,
) -> GradientTransformationExtraArgs:
    """Lifts a rule for one array to trees.

    Args:
        state_type: the NamedTuple of the state. Each field becomes a tree like the parameters,
            except `count` (or `t`), which is one int32 step count, from 0.
        init: `init(p) -> fields`, the state of one parameter `p`, without `count`.
        update: `update(g, s, p) -> (u, fields)` for one gradient `g`, its state `s` (a `state_type`
            whose `count` is the number of this step, from 1) and its parameter `p`, None if the user
            gave none. All arrays come in at least float32; results are stored in the dtypes of the
            state and returned in the dtype of the gradient.
        name: what errors call the rule, by default the function in which `update` is defined.
        needs_params: whether `update` reads `p`.
        like_params: whether every field has the parameter's shape.

    Returns: the pair. A leaf without a gradient (None, float0) keeps its state and gets no update.
    """
    name = name or update.__qualname__.partition(".")[0]
    rule = LeafRule(name, state_type, init, update, needs_params, like_params)
    step = fused((rule,))

    def init_tree(params: Params) -> OptState:
        leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
        rows = [init(p) if has_gradient(p) else (None,) * len(rule.fields) for p in leaves]
        return _assemble(rule, jnp.zeros([], jnp.int32), rows, treedef)

    def update_tree(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        updates, (state,) = step(updates, (state,), params)
        return updates, state

    pair = GradientTransformationExtraArgs(init_tree, update_tree)
    pair.rule = rule
    return pair


@jax.jit
def _times(g: Any, factor: Any) -> jax.Array:
    with relaxed_promotion():
        return cast(widen(g) * factor, dtype_of(g))


def scaled(updates: Updates, factor: Any) -> Updates:
    """Every update times one number, in the dtypes of the updates; None stays None."""
    return jax.tree.map(lambda g: g if is_absent(g) else _times(g, factor), updates, is_leaf=is_none)
