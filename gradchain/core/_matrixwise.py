"""A rule for stacks of arrays of one shape, lifted to trees: for algorithms that see matrices."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ._division import one_by_one
from ._dtypes import cast, dtype_of
from ._errors import LeafError, path_of_leaf
from ._leaves import Leaves, has_gradient, is_none
from ._matrices import together
from ._order import Trait
from ._pair import GradientTransformationExtraArgs
from ._rule import enclosing, fields_of, state_of_tree
from ._stacks import StackView
from ._treewise import TreeRule
from .types import OptState, Params, PyTree, counter_of

Views = Callable[[PyTree], Sequence[StackView | None]]
"""From a tree to the views of its leaves, None counting as a leaf; None for one without a gradient."""


class Renewal(NamedTuple):
    """What happens to some fields of a rule's state at some steps only."""

    due: Callable[[Any], Any]  # from the number of this step, from 1, to whether it happens
    renew: Callable[[Any], Any]  # from the state of a stack to the new one
    fields: tuple[str, ...]  # those that it changes
    first: Callable[[Any], Any] | None = None  # in place of `renew`, at the first step


Row = tuple[Any, dict[str, Any], Any]
"""What a rule sees of one stack: gradients, the fields of the state, parameters or None."""


@dataclasses.dataclass(frozen=True, eq=False)
class MatrixRule(TreeRule):
    """A rule for stacks, as `matrixwise` was given it."""

    zeros: Callable[[Any], Any]
    like: frozenset[str]
    views: Views

    def init_tree(self, params: Params) -> OptState:
        views = self.views(params)
        return state_of_tree(self.name, lambda i, p: self.init_leaf(p, views[i]), params, self.example)

    def init_leaf(self, p: Any, view: Any) -> Any:
        """The state of one parameter: arrays like it, and tuples of what each stack of it has."""
        states = [self.zeros(jax.ShapeDtypeStruct(shape, dtype_of(p))) for shape in view.shapes]
        fields: dict[str, Any] = {f: tuple(getattr(s, f) for s in states) for f in fields_of(states[0])}
        for f in self.like:
            fields[f] = _zeros_like(p, fields[f][0].dtype)
        return states[0]._replace(**fields)

    def example(self) -> Any:
        """A state of no parameter."""
        return self.zeros(jax.ShapeDtypeStruct((1, 1, 1), jnp.float32))

    def state_like(self, gs: list[Any], settings: Any) -> Any:
        made = [
            jax.eval_shape(functools.partial(self.init_leaf, view=view), g)
            for g, view in zip(gs, settings, strict=True)
        ]
        columns = {f: [getattr(s, f) for s in made] for f in self.tree_fields}
        return jax.eval_shape(self.example)._replace(**columns)

    @functools.cached_property
    def tree_fields(self) -> list[str]:  # type: ignore[override]
        return list(fields_of(jax.eval_shape(self.example)))

    def _list(self, leaves: Leaves, field: str, tree: PyTree) -> list[Any]:
        return leaves.of(f"state's {field}", tree, same_shape=field in self.like)


def _zeros_like(p: Any, dtype: Any) -> jax.Array:
    return jnp.zeros_like(p, dtype) if hasattr(p, "shape") else jnp.zeros((), dtype)


def matrixwise(
    init: Callable[[Any], Any],
    update: Callable[..., tuple[Any, Any]] | Sequence[Any],
    *,
    views: Views,
    like_params: Iterable[str] = (),
    name: str | None = None,
    needs_params: bool = False,
    traits: Iterable[Trait] = (),
    remark: Callable[[tuple[int, ...]], str] = lambda dims: "",
) -> GradientTransformationExtraArgs:
    """Lifts a rule for stacks of arrays of one shape to trees.

    Every parameter is seen as one stack (arrays, *dims), or as several where its axes are cut into blocks
    of unequal size. All stacks of one shape take the step together, in one batched program; under
    `jax.set_mesh` the arrays of a stack are divided over the devices. On a CPU each takes it by itself, so
    that none is copied into a larger one.

    Args:
        init: `init(p) -> state`, a NamedTuple, of one stack, of which only shape and dtype are known. The
            first axis of every field counts the arrays, but for `count`.
        update: `update(g, s, p) -> (u, s)` for one stack; `s.count` is the number of this step, from 1. The
            new state is made by `s._replace(...)`. Everything comes in at least float32. Or several in a
            row, each getting the `u` and the state of the one before. A `Renewal` among them holds what is
            costly and seldom: outside of its conditional, other steps neither compute nor gather for it.
        views: how each leaf of a tree is seen as stacks.
        like_params: the fields that have the stack's shape, and begin at zero. They are kept in the shape
            of the parameters, so that they share their sharding. Any other field of a parameter is a tuple:
            what each of its stacks has.
        name: what errors call the rule, by default the function in which `update` is defined.
        needs_params: whether `update` reads `p`.
        traits: what the rule says about itself, see `Trait`.
        remark: what `describe` should say of arrays of a shape, if anything: axes that are left out.
    """
    stages = [update] if callable(update) else list(update)
    name, like = name or enclosing(stages[0]), frozenset(like_params)

    def of_lists(
        g: list[Any], s: Any, p: list[Any], *, settings: Sequence[StackView]
    ) -> tuple[list[Any], Any]:
        rows, owners = [], []
        for i, view in enumerate(settings):
            fields = {f: getattr(s, f)[i] for f in fields_of(s)}
            fields |= {f: view.split(fields[f]) for f in like}
            ps = [None] * len(view.shapes) if p[i] is None else view.split(p[i])
            for j, x in enumerate(view.split(g[i])):
                rows.append((x, {f: parts[j] for f, parts in fields.items()}, ps[j]))
                owners.append(i)
        for stage in stages:
            rows = _renewed(stage, s, rows) if isinstance(stage, Renewal) else _taken(stage, s, rows)
        stacks: list[list[Any]] = [[] for _ in settings]
        news: list[dict[str, list[Any]]] = [{f: [] for f in fields_of(s)} for _ in settings]
        for i, (u, new, _) in zip(owners, rows, strict=True):
            stacks[i].append(u)
            for f, value in new.items():
                news[i][f].append(value)
        lists = {
            f: [
                view.join(new[f]) if f in like else tuple(new[f])
                for view, new in zip(settings, news, strict=True)
            ]
            for f in fields_of(s)
        }
        us = [view.join(parts) for view, parts in zip(settings, stacks, strict=True)]
        return us, s._replace(**lists)

    def settings(tree: PyTree) -> PyTree:
        return jax.tree.structure(tree, is_leaf=is_none).unflatten(views(tree))

    rule = MatrixRule(name, init, of_lists, needs_params, False, (), settings, init, like, views)
    return GradientTransformationExtraArgs(
        rule.init_tree,
        rule.update_tree,
        traits=traits,
        remarks=functools.partial(_remarks, name, views, remark),
    )


def _taken(update: Callable[..., tuple[Any, Any]], s: Any, rows: list[Row]) -> list[Row]:
    """The rows after an update, whose `u` takes the place of the gradients."""

    def step(count: Any, g: Any, fields: dict[str, Any], p: Any) -> tuple[Any, dict[str, Any]]:
        u, new = update(g, s._replace(**fields, **_counted(s, count)), p)
        return u, {f: jax.tree.map(_as, getattr(new, f), fields[f]) for f in fields}

    count = getattr(s, counter_of(s) or "", None)
    if one_by_one():
        once = jax.jit(step)  # traced once per shape
        done = [once(count, *row) for row in rows]
    else:
        done = together(functools.partial(step, count), rows)
    return [(u, new, p) for (u, new), (_, _, p) in zip(done, rows, strict=True)]


def _renewed(stage: Renewal, s: Any, rows: list[Row]) -> list[Row]:
    """The rows after a renewal, which is due or not."""

    def step(fields: dict[str, Any]) -> dict[str, Any]:
        old = s._replace(**fields)

        def by(renew: Callable[[Any], Any]) -> dict[str, Any]:
            new = renew(old)
            return {f: jax.tree.map(_as, getattr(new, f), fields[f]) for f in stage.fields}

        first = stage.first
        if first is None:
            return by(stage.renew)
        return jax.lax.cond(s.count == 1, lambda: by(first), lambda: by(stage.renew))

    news = jax.lax.cond(
        stage.due(s.count),
        lambda: together(step, [(fields,) for _, fields, _ in rows]),
        lambda: [{f: fields[f] for f in stage.fields} for _, fields, _ in rows],
    )
    return [(u, fields | new, p) for (u, fields, p), new in zip(rows, news, strict=True)]


def _counted(s: Any, count: Any) -> dict[str, Any]:
    counter = counter_of(s)
    return {} if counter is None else {counter: count}


def _remarks(
    name: str, views: Views, remark: Callable[[tuple[int, ...]], str], params: Params
) -> Iterable[str]:
    """What `describe` says of parameters that are cut into blocks, and what the rule says of others."""
    for i, (x, view) in enumerate(
        zip(jax.tree.leaves(params, is_leaf=is_none), views(params), strict=True)
    ):
        if view is not None:
            blocks = sum(shape[0] for shape in view.shapes) // max(view.count, 1)
            texts = [f"is cut into {blocks} blocks" if blocks > 1 else "", remark(view.dims)]
            for text in filter(None, texts):
                yield f"{name}: {path_of_leaf(params, i)} of shape {jnp.shape(x)} {text}."


def _as(new: Any, old: Any) -> jax.Array:
    """A field as its lift stores it until the end of the step: in the dtype it came in."""
    return cast(new, dtype_of(old))


def views_of(
    name: str, tree: PyTree, view: Callable[[int, tuple[int, ...]], StackView]
) -> list[StackView | None]:
    """The view of every leaf of a tree; None where a leaf has no gradient.

    Args: name, for errors; view, of leaf number i and its shape.
    Raises: ValueError, with the path, where `view` raises LeafError.
    """
    found: list[StackView | None] = []
    for i, x in enumerate(jax.tree.leaves(tree, is_leaf=is_none)):
        try:
            found.append(view(i, jnp.shape(x)) if has_gradient(x) else None)
        except LeafError as error:
            raise error.at(path_of_leaf(tree, i)) from None
    return found
