"""Putting pairs together: chains, and the pairs that keep no state."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._factory import transformation
from ._leafwise import init_empty_state, leafwise
from ._leaves import check_updates, is_none, leaves_like
from ._order import check_order
from ._pair import GradientTransformation, GradientTransformationExtraArgs
from ._runs import Runs
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

    Example:
        >>> tx, g = gc.with_extra_args_support(gc.scale(2.0)), jnp.array([1.0])
        >>> tx.update(g, tx.init(g), value=3.0)[0].tolist()  # what `scale` does not read is left out
        [2.0]
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

    Example:
        >>> gc.chain(gc.clip(1.0), gc.sgd(0.5))
        chain(clip(max_delta=1.0), sgd(learning_rate=0.5))
        >>> tx, g = gc.chain(gc.clip(1.0), gc.sgd(0.5)), jnp.array([8.0])
        >>> tx.update(g, tx.init(g))[0].tolist()  # clipped, then times -0.5
        [-0.5]
    """
    links = tuple(_checked(i, tx) for i, tx in enumerate(args))
    runs = functools.cache(lambda: Runs(links))  # at the first step: most chains in a chain never run

    def init(params: Params) -> tuple[OptState, ...]:
        return tuple(link.init(params) for link in links)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, tuple[OptState, ...]]:
        return runs().update(updates, state, params, extra_args)

    def step(
        grads: Updates, state: Any, params: Params, **extra_args: Any
    ) -> tuple[Params, tuple[OptState, ...]]:
        return runs().step(grads, state, params, extra_args)

    return GradientTransformationExtraArgs(
        init,
        update,
        step=step if links else None,
        links=args,
        chained=links,
        inside=[(tx, (i,)) for i, tx in enumerate(args)],
    )


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

    Example:
        >>> tx = gc.named_chain(("clip", gc.clip(1.0)), ("momentum", gc.trace(0.5)))
        >>> state = tx.init(jnp.zeros(2))
        >>> state["momentum"].trace.tolist()
        [0.0, 0.0]
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

    inside = [(tx, (name,)) for name, tx in args]
    return GradientTransformationExtraArgs(
        init, update, step=step, links=tuple(tx for _, tx in args), inside=inside
    )


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
    """Returns the updates as they are. State: `EmptyState`.

    Example:
        >>> gc.identity().update(jnp.array([1.0, 2.0]), gc.EmptyState())[0].tolist()
        [1.0, 2.0]
    """

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        return updates, state

    return GradientTransformationExtraArgs(init_empty_state, update)


@transformation
def set_to_zero() -> GradientTransformationExtraArgs:
    """Replaces every update by zeros, whatever it is, NaN included. State: `EmptyState`.

    Its step leaves the parameters alone: nothing is computed.

    Example:
        >>> gc.set_to_zero().update(jnp.array([1.0, jnp.nan]), gc.EmptyState())[0].tolist()
        [0.0, 0.0]
    """

    def update(g: Array, s: EmptyState, p: Any) -> tuple[Array, EmptyState]:
        return jnp.zeros_like(g), s

    def step(grads: Updates, state: OptState, params: Params, **extra_args: Any) -> tuple[Params, OptState]:
        check_updates("set_to_zero", grads, params)
        return params, state

    lift = leafwise(init_empty_state, update)
    return GradientTransformationExtraArgs(lift[0], lift[1], step=step, rule=lift.rule)


@transformation
def stateless(f: Callable[[Updates, Params | None], Updates]) -> GradientTransformationExtraArgs:
    """A transformation from a function `f(updates, params) -> updates` of whole trees.

    State: `EmptyState`.

    Example:
        >>> tx, g = gc.stateless(lambda updates, params: [-u for u in updates]), [jnp.array([1.0])]
        >>> tx.update(g, tx.init(g))[0][0].tolist()
        [-1.0]
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

    Example:
        >>> tx, p = gc.stateless_with_tree_map(lambda g, p: g * p), jnp.array([2.0, 3.0])
        >>> tx.update(jnp.array([1.0, -1.0]), tx.init(p), p)[0].tolist()
        [2.0, -3.0]
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
