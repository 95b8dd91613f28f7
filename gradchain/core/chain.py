"""Putting pairs together: chains, and the pairs that keep no state."""

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from .lift import fused, is_none, leafwise, leaves_like
from .order import check_order
from .pair import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    called_by_the_user,
    transformation,
)
from .types import EmptyState, OptState, Params, Updates


def init_empty_state(params: Params) -> EmptyState:
    """The `init` of a transformation that keeps no state."""
    del params
    return EmptyState()


def _extra_names(update: Callable[..., Any]) -> frozenset[str] | None:
    """The extra arguments an `update` accepts by name; None if it accepts all."""
    try:
        parameters = list(inspect.signature(update).parameters.values())
    except (TypeError, ValueError):
        return frozenset()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(
        p.name for p in parameters[2:] if p.name != "params" and p.kind is not p.VAR_POSITIONAL
    )


def with_extra_args_support(tx: GradientTransformation) -> GradientTransformationExtraArgs:
    """A pair that accepts extra arguments, from any pair.

    Whether `tx` reads them is told by the signature of its `update`, not by its class: one with
    `**extra_args` gets them all, one that names some gets those, any other gets none.
    """
    if isinstance(tx, GradientTransformationExtraArgs):
        return tx
    if not (isinstance(tx, tuple) and len(tx) == 2 and callable(tx[0]) and callable(tx[1])):
        hint = ""
        if callable(tx):
            hint = f" Call it: {getattr(tx, '__name__', 'factory')}(...)."
        raise TypeError(
            f"expected a gradient transformation, a pair (init, update), received {tx!r}.{hint}"
        )
    init, update = tx
    names = _extra_names(update)
    if names is None:
        return GradientTransformationExtraArgs(init, update)

    def selective_update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        return update(updates, state, params, **{k: v for k, v in extra_args.items() if k in names})

    return GradientTransformationExtraArgs(init, selective_update)


@transformation
def chain(*args: GradientTransformation) -> GradientTransformationExtraArgs:
    """Applies transformations one after another: each one's updates are the next one's input.

    Args: args, pairs of any library that follows the protocol. Extra arguments of `update` reach
        every link that accepts them.
    State: the tuple of the links' states.
    Raises: TypeError if an argument is not a pair. Warns (`OrderWarning`) where a link undoes an
        earlier one, e.g. Adam's rule a learning rate before it.
    """
    links = tuple(_checked(i, tx) for i, tx in enumerate(args))
    runs = list(_runs(links))
    if called_by_the_user():
        check_order(args)

    def init(params: Params) -> tuple[OptState, ...]:
        return tuple(link.init(params) for link in links)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, tuple[OptState, ...]]:
        if not isinstance(state, (tuple, list)) or len(state) != len(links):
            size = f"{len(state)} parts" if isinstance(state, (tuple, list)) else repr(type(state))
            raise ValueError(
                f"chain: the state must be a tuple of {len(links)} states, one for each link, received "
                f"{size}. Call init of this very chain first."
            )
        states: list[OptState] = []
        for first, last, run in runs:
            updates, new = run(updates, state[first:last], params, extra_args)
            states.extend(new)
        return updates, tuple(states)

    pair = GradientTransformationExtraArgs(init, update)
    pair.parts = args
    return pair


def _runs(links: Sequence[GradientTransformationExtraArgs]) -> Iterator[tuple[int, int, Any]]:
    """The links in runs `(first, last, update)`: neighbouring rules for one array run as one."""
    first = 0
    for is_rule, group in itertools.groupby(links, key=lambda link: link.rule is not None):
        group = list(group)
        for part in [group] if is_rule else [[link] for link in group]:
            yield first, first + len(part), _run(part)
            first += len(part)


def _run(links: list[GradientTransformationExtraArgs]) -> Callable[..., Any]:
    if len(links) == 1:

        def one(updates: Updates, states: Any, params: Any, extra_args: dict[str, Any]) -> Any:
            updates, state = links[0].update(updates, states[0], params, **extra_args)
            return updates, (state,)

        return one

    step = fused([link.rule for link in links])
    return lambda updates, states, params, extra_args: step(updates, states, params)


def _checked(i: int, tx: Any) -> GradientTransformationExtraArgs:
    try:
        return with_extra_args_support(tx)
    except TypeError as error:
        raise TypeError(f"chain: argument {i}: {error}") from None


@transformation
def named_chain(*args: tuple[str, GradientTransformation]) -> GradientTransformationExtraArgs:
    """A chain whose state is a dictionary: `named_chain(("clip", clip(1.0)), ("adam", adam(1e-3)))`.

    Args: args, pairs `(name, transformation)` with distinct names.
    State: a dict from name to that link's state, so that a checkpoint names its parts.
    Raises: ValueError for a repeated name; TypeError for an argument that is not `(name, pair)`.
    """
    for i, arg in enumerate(args):
        if not (isinstance(arg, tuple) and len(arg) == 2 and isinstance(arg[0], str)):
            raise TypeError(f"named_chain: argument {i} must be (name, transformation), received {arg!r}.")
    names = [name for name, _ in args]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"named_chain: names must be distinct, {', '.join(repeated)} came twice.")
    links = {name: _checked(i, tx) for i, (name, tx) in enumerate(args)}

    def init(params: Params) -> dict[str, OptState]:
        return {name: link.init(params) for name, link in links.items()}

    def update(
        updates: Updates, state: dict[str, Any], params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, dict[str, OptState]]:
        states = {}
        for name, link in links.items():
            updates, states[name] = link.update(updates, state[name], params, **extra_args)
        return updates, states

    pair = GradientTransformationExtraArgs(init, update)
    pair.parts = tuple(tx for _, tx in args)
    return pair


@transformation
def identity() -> GradientTransformationExtraArgs:
    """Returns the updates as they are. State: `EmptyState`."""

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del params, extra_args
        return updates, state

    return GradientTransformationExtraArgs(init_empty_state, update)


@transformation
def set_to_zero() -> GradientTransformationExtraArgs:
    """Replaces every update by zeros, whatever it is, NaN included. State: `EmptyState`."""

    def update(g: Any, s: EmptyState, p: Any) -> tuple[Any, tuple[()]]:
        del s, p
        return jax.numpy.zeros_like(g), ()

    return leafwise(EmptyState, lambda p: (), update)


@transformation
def stateless(f: Callable[[Updates, Params | None], Updates]) -> GradientTransformationExtraArgs:
    """A transformation from a function `f(updates, params) -> updates` of whole trees.

    State: `EmptyState`.
    """

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        return f(updates, params), state

    return GradientTransformationExtraArgs(init_empty_state, update)


@transformation
def stateless_with_tree_map(f: Callable[[Any, Any], Any]) -> GradientTransformationExtraArgs:
    """A transformation from a function `f(g, p) -> u` of one array and its parameter.

    `p` is None where `update` is called without parameters. State: `EmptyState`.
    """

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        gs, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        ps = [None] * len(gs)
        if params is not None:
            ps = leaves_like("stateless_with_tree_map", "updates", updates, "parameters", params)
        us = [None if g is None else f(g, p) for g, p in zip(gs, ps, strict=True)]
        return jax.tree.unflatten(treedef, us), state

    return GradientTransformationExtraArgs(init_empty_state, update)
