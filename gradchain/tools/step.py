"""One training step for any transformation, whatever its `update` asks for."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import GradientTransformation, is_absent, relaxed_promotion, widen, with_extra_args_support
from ..core.lists import sum_sq
from ..core.types import OptState, Params, Updates
from ..linesearch.stored import stored_or_computed


class StepInfo(NamedTuple):
    """What a step saw where it began."""

    value: Any  # f32[]  the loss
    grad_norm: Any  # f32[]  the 2-norm of its gradient
    aux: Any = None  # what the function returns beside the loss, with has_aux


def make_step(
    tx: GradientTransformation,
    fun: Callable[..., Any],
    *,
    has_aux: bool = False,
    same_args: bool | None = None,
) -> Callable[..., tuple[Params, OptState, StepInfo]]:
    """A training step `(params, state, *args, **kwargs) -> (params, state, info)` for any transformation.

    The step computes the loss and its gradient and gives `update` all that one may ask for: `value`,
    `grad`, `value_fn`, `obj_fn` (the same function) and `grad_fn`. So lbfgs, polyak_sgd, momo, sophia,
    opaque sam, reduce_on_plateau and adam are trained by the same line. Where the last link is a line
    search that has left value and gradient in its state, they are not computed again.

    Args:
        tx: any transformation, of any library that follows the protocol.
        fun: `fun(params, *args, **kwargs)`, the loss as one real number.
        has_aux: `fun` returns `(loss, aux)`; aux is then in the info, and nothing is reused.
        same_args: whether the arguments after the parameters are the same at every step, so that what
            a line search has stored still holds. None: only if there are none.

    The gradient of complex parameters is conjugated for `update`, so that its negative points downhill.

    Returns: the step; compile it with `jax.jit(step)`. `StepInfo(value, grad_norm, aux)` describes
        the loss where the step began.
    """
    pair = with_extra_args_support(tx)

    def step(params: Params, state: OptState, *args: Any, **kwargs: Any) -> Any:
        reuse = not (args or kwargs) if same_args is None else same_args
        value_fn = bound(fun, args, kwargs, has_aux)
        aux = None
        if has_aux:
            (value, aux), grad = jax.value_and_grad(fun, has_aux=True)(params, *args, **kwargs)
        else:
            value, grad = value_and_grad_at(value_fn, params, state if reuse else None)
        new_params, new_state = advance(pair, value_fn, params, state, value, grad)
        return new_params, new_state, StepInfo(value, norm_of(grad), aux)

    return step


def bound(fun: Callable[..., Any], args: Any, kwargs: Any, has_aux: bool) -> Callable[[Params], Any]:
    """The loss as a function of the parameters alone."""

    def value_fn(params: Params) -> Any:
        found = fun(params, *args, **kwargs)
        return found[0] if has_aux else found

    return value_fn


def advance(
    pair: Any, value_fn: Callable[[Params], Any], params: Params, state: OptState, value: Any, grad: Updates
) -> tuple[Params, OptState]:
    """The parameters and the state after one step."""
    extra = {"value": value, "grad": grad, "value_fn": value_fn}
    if _is_ours(pair):  # Optax's line searches refuse what their value function does not read
        extra["obj_fn"] = value_fn
        extra["grad_fn"] = lambda point, i: _downhill(jax.grad(value_fn)(point))
    return pair.step(_downhill(grad), state, params, **extra)


def _downhill(grad: Updates) -> Updates:
    """The conjugate, whose negative points downhill."""
    return jax.tree.map(lambda g: g if is_absent(g) else jnp.conj(g), grad)


def value_and_grad_at(
    value_fn: Callable[[Params], Any], params: Params, state: OptState | None
) -> tuple[Any, Updates]:
    """Value and gradient, from the state of a line search that ended here if there is one."""
    search = stored_in(state)
    if search is None:
        return jax.value_and_grad(value_fn)(params)
    return stored_or_computed(value_fn, search.value, search.grad, params)


def stored_in(state: OptState) -> Any:
    """The state of the line search that is the last link of a chain; None if another one is last.

    What comes after a line search moves the parameters away from where it ended.
    """
    fields = getattr(state, "_fields", None)
    if fields is None:
        return stored_in(state[-1]) if isinstance(state, tuple) and state else None
    if {"learning_rate", "value", "grad"} <= set(fields):
        return None if state.grad is None else state
    if {"hyperparams", "inner_state"} <= set(fields):
        return stored_in(state.inner_state)
    return None


def norm_of(grad: Updates) -> jax.Array:
    """The 2-norm of a gradient, in at least float32."""
    with relaxed_promotion():
        return jnp.sqrt(sum_sq([widen(g) for g in jax.tree.leaves(grad) if not is_absent(g)]))


def _is_ours(pair: Any) -> bool:
    """Whether this library's factories made it, with all its links and all that it wraps."""
    if getattr(pair, "call", None) is None:
        return False
    return all(map(_is_ours, _pairs_in(pair.call.arguments)))


def _pairs_in(argument: Any) -> Iterator[Any]:
    """The transformations in an argument of a factory."""
    if isinstance(argument, tuple) and len(argument) == 2 and all(map(callable, argument)):
        yield argument
    elif isinstance(argument, Mapping):
        yield from itertools.chain.from_iterable(map(_pairs_in, argument.values()))
    elif isinstance(argument, (tuple, list)):
        yield from itertools.chain.from_iterable(map(_pairs_in, argument))
