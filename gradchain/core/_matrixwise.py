"""A rule for stacks of arrays of one shape, lifted to trees: for algorithms that see matrices."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np

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
from ._typed import typed_like, uncut
from .types import OptState, Params, PyTree

Views = Callable[[PyTree], Sequence[StackView | None]]
"""From a tree to the views of its leaves, None counting as a leaf; None for one without a gradient."""


class Renewal(NamedTuple):
    """What happens to some fields of a rule's state at some steps only."""

    due: Callable[[Any], Any]  # from the number of this step, from 1, to whether it happens
    renew: Callable[[Any], Any]  # from the state of a stack to the new one
    fields: tuple[str, ...]  # those that it changes
    first: Callable[[Any], Any] | None = None  # in place of `renew`, at the first step


Row = tuple[Any, ...]
"""What a rule sees of one stack: gradients, fields of the state, parameters or None, seeds if it draws."""


@dataclasses.dataclass(frozen=True, eq=False)
class MatrixRule(TreeRule):
    """A rule for stacks, as `matrixwise` was given it."""

    zeros: Callable[[Any], Any]
    like: frozenset[str]
    shared: frozenset[str]
    views: Views

    def init_tree(self, params: Params) -> OptState:
        views = self.views(params)
        state = state_of_tree(self.name, lambda i, p: self.init_leaf(p, views[i]), params, self.example)
        whole = self.example()
        return state._replace(**{f: jnp.asarray(getattr(whole, f)) for f in self.shared})

    def init_leaf(self, p: Any, view: Any) -> Any:
        """The state of one parameter: arrays like it, and tuples of what each stack of it has."""
        states = [self.zeros(jax.ShapeDtypeStruct(shape, dtype_of(p))) for shape in view.shapes]
        fields: dict[str, Any] = {f: tuple(getattr(s, f) for s in states) for f in self.tree_fields}
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
        return [f for f in fields_of(jax.eval_shape(self.example)) if f not in self.shared]

    def step(self, gs: list[Any], state: Any, ps: list[Any], extra: Any, settings: Any) -> tuple[Any, Any]:
        us, new = super().step(uncut(gs), uncut(state), uncut(ps), extra, settings)
        return typed_like(us, gs), typed_like(new, state)

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
    shared: Iterable[str] = (),
    begin: Callable[[Any], Any] = lambda s: s,
    draws: bool = False,
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
        shared: the fields that the whole tree has once, in place of one for each parameter.
        begin: `begin(s) -> s` gives the shared fields their values for this step, which `update` sees.
        draws: `update` gets a fourth argument: for each array a number for `jax.random.fold_in`, made of
            the parameter's name and the array's place in it. So what is drawn for one parameter does not
            depend on the others.
        name: what errors call the rule, by default the function in which `update` is defined.
        needs_params: whether `update` reads `p`.
        traits: what the rule says about itself, see `Trait`.
        remark: what `describe` should say of arrays of a shape, if anything: axes that are left out.
    """
    stages = [update] if callable(update) else list(update)
    name, like, whole = name or enclosing(stages[0]), frozenset(like_params), frozenset(shared)

    def of_lists(
        g: list[Any], s: Any, p: list[Any], *, settings: Sequence[StackView]
    ) -> tuple[list[Any], Any]:
        rows, owners = [], []
        s = begin(s)
        names = [f for f in fields_of(s) if f not in whole]
        for i, view in enumerate(settings):
            fields = {f: getattr(s, f)[i] for f in names}
            fields |= {f: view.split(fields[f]) for f in like}
            ps = [None] * len(view.shapes) if p[i] is None else view.split(p[i])
            more = [(seeds,) for seeds in _seeds(view)] if draws else [()] * len(ps)
            for j, x in enumerate(view.split(g[i])):
                rows.append((x, {f: parts[j] for f, parts in fields.items()}, ps[j], *more[j]))
                owners.append(i)
        for stage in stages:
            rows = _renewed(stage, s, rows) if isinstance(stage, Renewal) else _taken(stage, s, rows)
        stacks: list[list[Any]] = [[] for _ in settings]
        news: list[dict[str, list[Any]]] = [{f: [] for f in names} for _ in settings]
        for i, (u, new, *_) in zip(owners, rows, strict=True):
            stacks[i].append(u)
            for f, value in new.items():
                news[i][f].append(value)
        lists = {
            f: [
                view.join(new[f]) if f in like else tuple(new[f])
                for view, new in zip(settings, news, strict=True)
            ]
            for f in names
        }
        us = [view.join(parts) for view, parts in zip(settings, stacks, strict=True)]
        return us, s._replace(**lists)

    def settings(tree: PyTree) -> PyTree:
        found = views(tree)
        if draws:
            paths = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_none)[0]
            found = [
                view and view._replace(seed=crc32(jax.tree_util.keystr(path).encode()))
                for view, (path, _) in zip(found, paths, strict=True)
            ]
        return jax.tree.structure(tree, is_leaf=is_none).unflatten(found)

    rule = MatrixRule(name, init, of_lists, needs_params, False, (), settings, (), init, like, whole, views)
    return GradientTransformationExtraArgs(
        rule.init_tree,
        rule.update_tree,
        traits=traits,
        remarks=functools.partial(_remarks, name, views, remark),
    )


def _taken(update: Callable[..., tuple[Any, Any]], s: Any, rows: list[Row]) -> list[Row]:
    """The rows after an update, whose `u` takes the place of the gradients."""

    def step(scalars: dict[str, Any], g: Any, fields: dict[str, Any], *more: Any) -> Any:
        u, new = update(g, s._replace(**fields, **scalars), *more)
        return u, {f: jax.tree.map(_as, getattr(new, f), fields[f]) for f in fields}

    fields_of_rows = rows[0][1] if rows else {}
    scalars = {f: getattr(s, f) for f in s._fields if f not in fields_of_rows}
    if one_by_one():
        once = jax.jit(step)  # traced once per shape
        done = [once(scalars, *row) for row in rows]
    else:
        done = together(functools.partial(step, scalars), rows)
    return [(u, new, *row[2:]) for (u, new), row in zip(done, rows, strict=True)]


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
        lambda: together(step, [(fields,) for _, fields, *_ in rows]),
        lambda: [{f: fields[f] for f in stage.fields} for _, fields, *_ in rows],
    )
    return [(u, fields | new, *more) for (u, fields, *more), new in zip(rows, news, strict=True)]


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


def _seeds(view: StackView) -> Iterator[jax.Array]:
    """For each stack u32[arrays], a number for each array."""
    first = view.seed
    for shape in view.shapes:
        yield jnp.asarray(np.uint32(first % 2**32) + np.arange(shape[0], dtype=np.uint32))
        first += shape[0]


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
