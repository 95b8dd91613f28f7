"""What wrappers are made with: a conditional, one compiled program, `update` and `step` in one."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ._apply import apply_updates
from ._devices import taken_axes, varies_over, varying_over
from ._dtypes import cast, dtype_of, dtype_of_step
from ._leaves import is_absent, is_none, leaves_like
from ._pair import GradientTransformationExtraArgs
from .rounding import is_low
from .types import OptState, Params, PyTree, TransformInitFn, Updates

Branch = Callable[[], Any]
Run = TypeVar("Run", bound=Callable[..., tuple[Any, OptState]])
_ARRAYS = (jax.Array, jax.ShapeDtypeStruct, np.ndarray, np.generic, bool, int, float, complex)


def _is_array(x: Any) -> bool:
    return isinstance(x, _ARRAYS)


def zeros_of(tree: Updates) -> Updates:
    """Zeros that vary over the same devices as `tree` (inside `shard_map`, `zeros_like` does not)."""

    def zeros(x: Any) -> Any:
        return x if is_absent(x) else jnp.where(False, x, jnp.zeros_like(x))

    return jax.tree.map(zeros, tree)


def either(wanted: Any, yes: Branch, no: Branch, like: PyTree) -> Any:
    """`yes()` where `wanted`, else `no()`: a real conditional, only one of them is computed.

    Args:
        wanted: a boolean scalar. Under `vmap` both are computed and selected from.
        yes, no: give trees like `like`; results are cast to its dtypes.
        like: what the results look like. Leaves that are not arrays stay as they are.
    """
    leaves, treedef = jax.tree.flatten(like)
    arrays = [i for i, leaf in enumerate(leaves) if _is_array(leaf) and not is_absent(leaf)]

    def packed(branch: Branch) -> list[Any]:
        new = treedef.flatten_up_to(branch())
        return [cast(new[i], dtype_of(leaves[i])) for i in arrays]

    axes = [frozenset[str]()] * len(arrays)
    if taken_axes():  # a mean over devices is typed as the same on all of them, what stays as it is may not
        types = (jax.eval_shape(lambda: packed(yes)), jax.eval_shape(lambda: packed(no)))
        axes = [varies_over(a) | varies_over(b) for a, b in zip(*types, strict=True)]

    def typed(branch: Branch) -> list[Any]:
        return [varying_over(x, over) for x, over in zip(packed(branch), axes, strict=True)]

    for i, leaf in zip(arrays, jax.lax.cond(wanted, lambda: typed(yes), lambda: typed(no)), strict=True):
        leaves[i] = leaf
    return jax.tree.unflatten(treedef, leaves)


def steps_like(
    tx: GradientTransformationExtraArgs,
    updates: Updates,
    state: OptState,
    params: Params | None,
    extra_args: dict[str, Any],
) -> Updates:
    """The shapes and dtypes of the updates of `tx`: each has the wider dtype of gradient and parameter.

    Only in low precision `tx` itself is asked: it may give float32, see `Trait.LANDS`.
    """
    gs, treedef = jax.tree.flatten(updates, is_leaf=is_none)
    ps = [None] * len(gs)
    if params is not None:
        ps = leaves_like("update", "gradient", updates, "parameters", params)

    def like(g: Any, p: Any) -> Any:
        return g if is_absent(g) else jax.ShapeDtypeStruct(jnp.shape(g), dtype_of_step(g, p))

    def steps() -> list[Any]:
        new, _ = tx.update(updates, state, params, **extra_args)
        news = leaves_like("update", "gradient", updates, "updates", new)
        return [new for g, new in zip(gs, news, strict=True) if not is_absent(g)]

    if not any(is_low(g if p is None else p) for g, p in zip(gs, ps, strict=True)):
        return treedef.unflatten(map(like, gs, ps))
    shapes = iter(jax.eval_shape(steps))
    return treedef.unflatten([g if is_absent(g) else next(shapes) for g in gs])


def run_if(
    wanted: Any,
    tx: GradientTransformationExtraArgs,
    whole: bool,
    updates: Updates,
    state: OptState,
    params: Params | None,
    extra_args: dict[str, Any],
    otherwise: Updates | None = None,
) -> tuple[Any, OptState]:
    """An update of `tx`, or with `whole` a step, where `wanted`; else other updates, and the same state.

    One conditional holds results and state together: a branch that changes nothing moves nothing.

    Args: otherwise, the other updates; None for zeros, which leave the parameters as they are.
    """

    def idle() -> tuple[Any, OptState]:
        if whole:
            return params if otherwise is None else apply_updates(params, otherwise), state
        return zeros_of(updates) if otherwise is None else otherwise, state

    like = params if whole else steps_like(tx, updates, state, params, extra_args)
    return either(wanted, lambda: tx.run(whole, updates, state, params, **extra_args), idle, (like, state))


def compiled(update: Run) -> Run:
    """The same update, or step, as one compiled program, so that it is as fast outside `jit` as inside.

    Conditionals and rebuilt transformations would otherwise be traced anew at every call. Arguments
    that are not arrays (a `value_fn`, say) make it run as it is.
    """

    @jax.jit
    def program(updates: Updates, state: OptState, params: Params, extra_args: dict[str, Any]) -> Any:
        return update(updates, state, params, **extra_args)

    def run(updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any) -> Any:
        if all(map(_is_array, jax.tree.leaves((updates, state, params, extra_args)))):
            return program(updates, state, params, extra_args)
        return update(updates, state, params, **extra_args)

    return run  # type: ignore[return-value]


def wrapper(
    init: TransformInitFn,
    run: Callable[..., tuple[Any, OptState]],
    *,
    one_program: bool = False,
    **about: Any,
) -> GradientTransformationExtraArgs:
    """The pair whose `update` and `step` are one function.

    Args:
        init: as in any pair.
        run: `run(whole, updates, state, params=None, **extra_args) -> (result, state)`. The result is the
            updates, or with `whole` the new parameters. A wrapper asks the pair inside for the same.
        one_program: whether each is compiled as a whole, see `compiled`.
        **about: what else the pair is made of, see `GradientTransformationExtraArgs`.
    """
    update, step = functools.partial(run, False), functools.partial(run, True)
    if one_program:
        update, step = compiled(update), compiled(step)
    return GradientTransformationExtraArgs(init, update, step=step, **about)
