"""Minimizing a function to convergence in one compiled loop."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import GradientTransformation, cast, dtype_of, with_extra_args_support
from ..core.types import Numeric, OptState, Params
from ..optimizers.lbfgs import lbfgs
from .step import advance, bound, norm_of, stored_in, value_and_grad_at


class MinimizeResult(NamedTuple):
    """What `minimize` found."""

    params: Params  # where it ended
    value: Any  # f32[]  the function there
    grad_norm: Any  # f32[]  the 2-norm of its gradient there
    steps: Any  # i32[]  steps taken
    converged: Any  # bool[]  whether grad_norm <= tol
    state: OptState  # the transformation's


class _Loop(NamedTuple):
    params: Params
    state: OptState
    value: Any
    grad: Any
    steps: Any
    stuck: Any


def minimize(
    fun: Callable[..., Any],
    params: Params,
    tx: GradientTransformation | None = None,
    max_steps: int | jax.Array = 1000,
    tol: Numeric = 1e-5,
    *,
    args: tuple[Any, ...] = (),
) -> MinimizeResult:
    """Minimizes a function of any pytree of parameters, the whole loop compiled.

    Steps are taken until |grad fun(params)|_2 <= tol, until max_steps, until the value is no longer
    finite, or until a line search finds no step that moves the parameters.

    Args:
        fun: `fun(params, *args)`, one real number.
        params: where to begin.
        tx: any transformation, by default `lbfgs()`; it is given what its `update` asks for.
        max_steps: steps at most.
        tol: the gradient's norm that counts as converged.
        args: further arguments of `fun`. Pass data here: a call with the same `fun`, an equal `tx` and
            arrays of the same shapes is not compiled again.

    The value and gradient that a line search leaves in its state are used, not computed again.

    Returns: `MinimizeResult(params, value, grad_norm, steps, converged, state)`.
    Memory: the transformation's, and 1 x the parameters.
    """
    pair = with_extra_args_support(lbfgs() if tx is None else tx)
    params = jax.tree.map(jnp.asarray, params)
    try:
        hash(fun)
        f = fun
    except TypeError:  # such as a module with arrays for weights

        def f(*given: Any) -> Any:
            return fun(*given)

    return _run(f, pair, params, jnp.asarray(max_steps, jnp.int32), tol, args)


@functools.partial(jax.jit, static_argnames=("fun", "pair"))
def _run(fun: Any, pair: Any, params: Any, max_steps: Any, tol: Any, args: Any) -> MinimizeResult:
    value_fn = bound(fun, args, {}, has_aux=False)

    def going(loop: _Loop) -> jax.Array:
        below = norm_of(loop.grad) <= tol
        return ~below & ~loop.stuck & jnp.isfinite(loop.value) & (loop.steps < max_steps)

    def body(loop: _Loop) -> _Loop:
        params, state = advance(pair, value_fn, loop.params, loop.state, loop.value, loop.grad)
        value, grad = value_and_grad_at(value_fn, params, state)
        stuck = loop.stuck
        if stored_in(state) is not None:
            moved = [
                jnp.any(new != old)
                for new, old in zip(jax.tree.leaves(params), jax.tree.leaves(loop.params), strict=True)
            ]
            stuck = ~functools.reduce(jnp.logical_or, moved, jnp.zeros((), bool))
        new = _Loop(params, state, value, grad, loop.steps + 1, stuck)
        return jax.tree.map(lambda x, like: cast(x, dtype_of(like)), new, loop)

    state = pair.init(params)
    value, grad = value_and_grad_at(value_fn, params, None)
    first = _Loop(params, state, value, grad, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    last = jax.lax.while_loop(going, body, first)
    norm = norm_of(last.grad)
    return MinimizeResult(last.params, last.value, norm, last.steps, norm <= tol, last.state)
