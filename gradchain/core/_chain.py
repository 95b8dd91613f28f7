"""Putting pairs together: chains, and the pairs that keep no state."""

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._factory import transformation
from ._leafwise import fused, init_empty_state, leafwise
from ._leaves import is_none, leaves_like
from ._order import check_order
from ._pair import GradientTransformation, GradientTransformationExtraArgs
from .types import Array, EmptyState, OptState, Params, Updates


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


def _check_links(args: Sequence[Any]) -> None:
    """Raises TypeError for a link that is no pair; warns where a link undoes an earlier one."""
    for i, tx in enumerate(args):
        _checked(i, tx)
    check_order(args)


@transformation(check=_check_links)
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

    def init(params: Params) -> tuple[OptState, ...]:
        return tuple(link.init(params) for link in links)

    def checked(state: Any) -> list[Any]:
        if not isinstance(state, (tuple, list)) or len(state) != len(links):
            size = f"{len(state)} parts" if isinstance(state, (tuple, list)) else repr(type(state))
            raise ValueError(
                f"chain: the state must be a tuple of {len(links)} states, one for each link, received "
                f"{size}. Call init of this very chain first."
            )
        return list(state)

    def take(run: Any, whole: bool, updates: Updates, states: Any, params: Any, extra_args: Any) -> Any:
        first, last, rules = run
        if rules is not None:
            result, states[first:last] = rules(updates, states[first:last], params, whole)
        else:
            action = links[first].step if whole else links[first].update
            result, states[first] = action(updates, states[first], params, **extra_args)
        return result

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, tuple[OptState, ...]]:
        states = checked(state)
        for run in runs:
            updates = take(run, False, updates, states, params, extra_args)
        return updates, tuple(states)

    def step(
        grads: Updates, state: Any, params: Params, **extra_args: Any
    ) -> tuple[Params, tuple[OptState, ...]]:
        states = checked(state)
        for run in runs[:-1]:
            grads = take(run, False, grads, states, params, extra_args)
        return take(runs[-1], True, grads, states, params, extra_args), tuple(states)

    return GradientTransformationExtraArgs(init, update, step=step if runs else None, links=args)


def _runs(links: Sequence[GradientTransformationExtraArgs]) -> Iterator[tuple[int, int, Any]]:
    """The links in runs `(first, last, run_rules)`: neighbouring rules for one array run as one."""
    first = 0
    for is_rule, group in itertools.groupby(links, key=lambda link: link.rule is not None):
        members = list(group)
        if is_rule:
            yield first, first + len(members), fused([link.rule for link in members])
        else:
            yield from ((i, i + 1, None) for i in range(first, first + len(members)))
        first += len(members)


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

    whole = chain(*links.values())

    def in_order(state: dict[str, Any]) -> tuple[OptState, ...]:
        return tuple(state[name] for name in links)

    def update(
        updates: Updates, state: dict[str, Any], params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, dict[str, OptState]]:
        updates, states = whole.update(updates, in_order(state), params, **extra_args)
        return updates, dict(zip(links, states, strict=True))

    def step(
        grads: Updates, state: dict[str, Any], params: Params, **extra_args: Any
    ) -> tuple[Params, dict[str, OptState]]:
        params, states = whole.step(grads, in_order(state), params, **extra_args)
        return params, dict(zip(links, states, strict=True))

    return GradientTransformationExtraArgs(init, update, step=step, links=tuple(tx for _, tx in args))


def step(
    tx: GradientTransformation, grads: Updates, state: OptState, params: Params, **extra_args: Any
) -> tuple[Params, OptState]:
    """One whole step of any transformation, of any library: `tx.step` for pairs that have none.

    Args: tx, a pair (init, update); the others as `GradientTransformationExtraArgs.step` takes them.
    Returns: the new parameters and the new state.
    """
    return with_extra_args_support(tx).step(grads, state, params, **extra_args)


@transformation
def identity() -> GradientTransformationExtraArgs:
    """Returns the updates as they are. State: `EmptyState`."""

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        return updates, state

    return GradientTransformationExtraArgs(init_empty_state, update)


@transformation
def set_to_zero() -> GradientTransformationExtraArgs:
    """Replaces every update by zeros, whatever it is, NaN included. State: `EmptyState`."""

    def update(g: Array, s: EmptyState, p: Any) -> tuple[Array, EmptyState]:
        return jnp.zeros_like(g), s

    return leafwise(init_empty_state, update)


@transformation
def stateless(f: Callable[[Updates, Params | None], Updates]) -> GradientTransformationExtraArgs:
    """A transformation from a function `f(updates, params) -> updates` of whole trees.

    State: `EmptyState`.
    """

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
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
        gs, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        ps = [None] * len(gs)
        if params is not None:
            ps = leaves_like("stateless_with_tree_map", "updates", updates, "parameters", params)
        us = [None if g is None else f(g, p) for g, p in zip(gs, ps, strict=True)]
        return jax.tree.unflatten(treedef, us), state

    return GradientTransformationExtraArgs(init_empty_state, update)
