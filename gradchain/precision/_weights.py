"""The engine of weights in low precision: a step in float32, of which no bit need be lost."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

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
from ..core.rounding import is_low, rounded, rounded_at_random, seed_of
from ..core.types import Array, OptState, Params, Updates
from ..tree.placeholder import is_placeholder


class Remedy(Protocol):
    """What is kept of weights that their parameters cannot hold, and how these land."""

    def first(self, params: Params) -> Any:
        """What is kept at the start."""
        ...

    def weights(self, leaves: Leaves, kept: Any, low: list[int], ps: list[Any]) -> list[Array]:
        """The weights, float32, of the parameters `ps`, which are the leaves `low`."""
        ...

    def land(
        self, leaves: Leaves, kept: Any, moved: list[int], new: list[Array], ps: list[Any]
    ) -> tuple[list[Array], list[Array], Any]:
        """Updates and parameters for the new weights of the leaves `moved`, and what is kept."""
        ...


class Kept(NamedTuple):
    """Keeps a part of each weight beside its parameter, which is the nearest number."""

    start: Callable[[Any], Array]  # of a parameter, or its shape: what is kept at the start
    read: Callable[[Array, Array], Array]  # of a parameter and what is kept: the weight
    left: Callable[[Array, Array], Array]  # of a weight and its parameter: what to keep

    def first(self, params: Params) -> Any:
        if is_placeholder(params):
            return params
        return jax.tree.map(lambda p: self.start(p) if is_low(p) else None, params)

    def weights(self, leaves: Leaves, kept: Any, low: list[int], ps: list[Any]) -> list[Array]:
        parts = leaves.all_of("state", kept)
        for i, p in zip(low, ps, strict=True):
            _check(leaves, i, p, parts[i])
        return each(self.read, ps, [parts[i] for i in low])

    def land(
        self, leaves: Leaves, kept: Any, moved: list[int], new: list[Array], ps: list[Any]
    ) -> tuple[list[Array], list[Array], Any]:
        steps, landed = each_of(2, _to_nearest, new, ps)
        parts = leaves.all_of("state", kept)
        for i, part in zip(moved, each(self.left, new, landed), strict=True):
            parts[i] = part
        return steps, landed, leaves.treedef.unflatten(parts)


class AtRandom(NamedTuple):
    """Keeps a key, with which each weight is rounded at random."""

    key: Any

    def first(self, params: Params) -> Any:
        return key_of(self.key)

    def weights(self, leaves: Leaves, kept: Any, low: list[int], ps: list[Any]) -> list[Array]:
        return [widen(p) for p in ps]

    def land(
        self, leaves: Leaves, kept: Any, moved: list[int], new: list[Array], ps: list[Any]
    ) -> tuple[list[Array], list[Array], Any]:
        kept, drawn = jax.random.split(kept)
        steps, landed = each_of(2, _to_random, new, ps, [jax.random.fold_in(drawn, i) for i in moved])
        return steps, landed, kept


def landing(
    name: str, inner: GradientTransformation, make: Callable[[Any, OptState], Any], remedy: Remedy
) -> GradientTransformationExtraArgs:
    """The wrapper that takes the steps of `inner` in float32 and lands on parameters in low precision.

    Its update is the difference of two parameters in float32, so that the old one and it are the new one.

    Args: name, for errors; make, the class of the state, of what is kept and the inner state; remedy.
    """
    tx = with_extra_args_support(inner)

    def init(params: Params) -> Any:
        wide = params if is_placeholder(params) else jax.tree.map(_widened, params)
        return make(remedy.first(params), tx.init(wide))

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
        wide = list(ps)
        for i, weight in zip(low, remedy.weights(leaves, kept, low, [ps[i] for i in low]), strict=True):
            wide[i] = weight
        moved = sorted({*low} & {*leaves.present})
        gs = list(leaves.all)
        for i in moved:
            gs[i] = widen(gs[i])
        tree = leaves.treedef.unflatten
        new, inner_state = tx.step(tree(gs), inner_state, tree(wide), **extra_args)
        news, results = leaves.all_of("new parameters", new), list(ps if whole else leaves.all)
        for i in sorted({*leaves.present} - {*low}):
            results[i] = news[i] if whole else _difference(news[i], ps[i], leaves.all[i])
        steps, landed, kept = remedy.land(
            leaves, kept, moved, [news[i] for i in moved], [ps[i] for i in moved]
        )
        for i, result in zip(moved, landed if whole else steps, strict=True):
            results[i] = result
        return tree(results), make(kept, inner_state)

    return wrapper(init, run, one_program=True, inside=[(inner, ("inner_state",))], traits=[Trait.LANDS])


def _widened(p: Any) -> Any:
    """A parameter as the inner transformation sees it: float32 in place of a lower precision."""
    if not is_low(p):
        return p
    if isinstance(p, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(p.shape, jnp.float32, sharding=p.sharding)
    return widen(p)


def _check(leaves: Leaves, i: int, p: Any, part: Any) -> None:
    if part is None or jnp.shape(part) != jnp.shape(p):
        has = "nothing" if part is None else f"an array of shape {jnp.shape(part)}"
        raise LeafError(
            leaves.name,
            f"parameter {{leaf}} has dtype {dtype_of(p)} and shape {jnp.shape(p)}, but the state has {has} "
            "for it: call init again with the parameters now in use.",
        ).at(path_of_leaf(leaves.updates, i))


def _to_nearest(weight: Array, p: Array) -> tuple[Array, Array]:
    return _landed(rounded(weight, p.dtype), p)


def _to_random(weight: Array, p: Array, key: Array) -> tuple[Array, Array]:
    return _landed(rounded_at_random(weight, seed_of(key), p.dtype), p)


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
