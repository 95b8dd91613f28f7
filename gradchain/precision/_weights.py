"""The engine of weights in low precision: a step in float32, of which no bit need be lost."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    LeafError,
    Leaves,
    MissingParamsError,
    Trait,
    cast,
    dtype_of,
    dtype_of_step,
    is_inexact,
    path_of_leaf,
    widen,
    with_extra_args_support,
    wrapper,
)
from ..core.lists import each, each_of
from ..core.numerics import key_of
from ..core.rounding import is_low, rounded, rounded_at_random
from ..core.types import Array, OptState, Params, Updates
from ..tree.placeholder import is_placeholder


class Codec(NamedTuple):
    """How that part of a weight is kept which its parameter cannot hold. All weights are float32."""

    first: Callable[[Any], Array]  # of a parameter, or its shape: what is kept at the start
    read: Callable[[Array, Array], Array]  # of a parameter and what is kept: the weight
    left: Callable[[Array, Array], Array]  # of a weight and its parameter: what to keep


def landing(
    name: str,
    inner: GradientTransformation,
    make: Callable[[Any, OptState], Any],
    codec: Codec | None,
    key: Any = None,
) -> GradientTransformationExtraArgs:
    """The wrapper that takes the steps of `inner` in float32 and lands on parameters in low precision.

    Its update is the difference of two parameters in float32, so that the old one and it are the new one.

    Args: name, for errors; make, the class of the state, of what is kept and the inner state; codec, or
        None and a key to round at random.
    """
    tx = with_extra_args_support(inner)

    def first(params: Params) -> Any:
        if codec is None:
            return key_of(key)
        if is_placeholder(params):
            return params
        begin = codec.first
        return jax.tree.map(lambda p: begin(p) if is_low(p) else None, params)

    def init(params: Params) -> Any:
        wide = params if is_placeholder(params) else jax.tree.map(_widened, params)
        return make(first(params), tx.init(wide))

    def run(
        whole: bool, updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        if params is None:
            raise MissingParamsError(name)
        leaves = Leaves(name, updates, params)
        kept, inner_state = state
        ps = leaves.all_of("parameters", params)
        low = [i for i, p in enumerate(ps) if is_low(p)]
        if not low:
            result, inner_state = tx.run(whole, updates, inner_state, params, **extra_args)
            return result, make(kept, inner_state)
        parts = [None] * len(ps) if codec is None else leaves.all_of("state", kept)
        weights, gs = list(ps), list(leaves.all)
        for i in low:
            if codec is not None:
                _check(name, updates, i, ps[i], parts[i])
            weights[i] = widen(ps[i]) if codec is None else _read(codec, ps[i], parts[i])
        moved = [i for i in leaves.present if i in set(low)]
        for i in moved:
            gs[i] = widen(gs[i])
        whole_tree = leaves.treedef.unflatten
        new, inner_state = tx.step(whole_tree(gs), inner_state, whole_tree(weights), **extra_args)
        news = leaves.all_of("new parameters", new)
        results = list(ps) if whole else list(leaves.all)
        for i in set(leaves.present) - set(moved):
            results[i] = news[i] if whole else _difference(news[i], ps[i], leaves.all[i])
        old, weights = [ps[i] for i in moved], [news[i] for i in moved]
        if codec is None:
            kept, drawn = jax.random.split(kept)
            aims = each(_at_random, weights, old, [jax.random.fold_in(drawn, i) for i in moved])
        else:
            aims = each(_nearest, weights, old)
        steps, landed = each_of(2, _landed, aims, old)
        for i, u, p in zip(moved, steps, landed, strict=True):
            results[i] = p if whole else u
        if codec is not None:
            for i, part in zip(moved, each(codec.left, weights, landed), strict=True):
                parts[i] = part
            kept = whole_tree(parts)
        return whole_tree(results), make(kept, inner_state)

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))], traits=[Trait.LANDS])


def _widened(p: Any) -> Any:
    """A parameter as the inner transformation sees it: float32 in place of a lower precision."""
    if not is_low(p):
        return p
    if isinstance(p, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(p.shape, jnp.float32, sharding=p.sharding)
    return widen(p)


def _check(name: str, updates: Updates, i: int, p: Any, part: Any) -> None:
    if part is None or jnp.shape(part) != jnp.shape(p):
        has = "nothing" if part is None else f"an array of shape {jnp.shape(part)}"
        raise LeafError(
            name,
            f"parameter {{leaf}} has dtype {dtype_of(p)} and shape {jnp.shape(p)}, but the state has {has} "
            "for it: call init again with the parameters now in use.",
        ).at(path_of_leaf(updates, i))


def _read(codec: Codec, p: Any, part: Any) -> Array:
    return each(codec.read, [p], [part])[0]


def _nearest(weight: Array, p: Array) -> Array:
    return rounded(weight, p.dtype)


def _at_random(weight: Array, p: Array, key: Array) -> Array:
    return rounded_at_random(weight, key, p.dtype)


def _landed(aim: Array, p: Array) -> tuple[Array, Array]:
    """The update that leads from `p` to a rounded weight, and the parameter that it leads to.

    That is the rounded weight, but where it is not 0 and so much less than `p` that their difference is no
    float32, or beyond all numbers.
    """
    u = jnp.where(aim == widen(p), 0, aim - widen(p))  # infinity stays, too
    return u, cast(rounded(widen(p) + u, p.dtype), p.dtype)


def _difference(new: Any, p: Any, g: Any) -> Any:
    if not is_inexact(p):
        return jnp.asarray(new) - jnp.asarray(p)
    return cast(widen(new) - widen(p), dtype_of_step(g, p))
