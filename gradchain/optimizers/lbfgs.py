"""L-BFGS: Newton's step from the last few changes of parameters and gradients."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core import (
    GradientTransformation,
    cast,
    chain,
    dtype_of,
    identity,
    real_dtype,
    transformation,
    treewise,
    widen,
)
from ..core.lists import dot, each, each_with, scalar_dtype, sum_sq
from ..core.numerics import zeros_like
from ..core.types import Array, Count, Numeric, Params, ScalarOrSchedule
from ..linesearch.zoom import scale_by_zoom_linesearch
from ..transforms.scaling import scale, scale_by_learning_rate

TWENTY_TRIALS = scale_by_zoom_linesearch(max_linesearch_steps=20, initial_guess_strategy="one")


class ScaleByLBFGSState(NamedTuple):
    """State of `scale_by_lbfgs`."""

    count: Count  # i32[]  steps taken
    params: Params  # like params, those of the step before
    updates: Params  # like params, the gradients of the step before
    diff_params_memory: Params  # like params with a first axis of memory_size: changes s
    diff_updates_memory: Params  # the same, of the gradients: changes y
    weights_memory: Array  # f32[memory_size]  1 / <s, y>, or 0 for a pair that is left out


class _Curvature(NamedTuple):
    """The pairs (s, y) of the last steps; `order` lists them, the oldest first."""

    s: list[Array]  # (memory_size, ...) for each array: changes of the parameters
    y: list[Array]  # the same: changes of the gradients
    rho: Array  # f32[memory_size]  1 / <s, y>, or 0 for a pair that is left out
    order: Array  # i32[memory_size]


def _safe_weight(s: list[Array], y: list[Array], eps: float) -> Array:
    """1 / <s, y>, or 0 if this curvature could be a rounding error."""
    curvature, ss, yy = dot(s, y), sum_sq(s), sum_sq(y)
    tiny = jnp.finfo(curvature.dtype).tiny
    # Two square roots: the product of the squared lengths could underflow.
    safe = (curvature > eps * jnp.sqrt(ss) * jnp.sqrt(yy)) & (curvature > 4 * tiny) & (yy > tiny)
    safe = safe & jnp.isfinite(curvature) & jnp.isfinite(ss) & jnp.isfinite(yy)
    return jnp.where(safe, 1 / jnp.where(safe, curvature, 1), 0)


def _entry(memory: list[Array], i: Array) -> list[Array]:
    """Entry `i` of every array's memory."""
    return each(lambda m: widen(m[i]), memory)


def _add(xs: list[Array], scalar: Array, ys: list[Array]) -> list[Array]:
    """xs + scalar ys, in the dtypes of `xs`."""
    return each(lambda x, y: x + cast(scalar, real_dtype(x.dtype)) * y, xs, ys)


def _first_scale(g: list[Array], known: _Curvature) -> Array:
    """<s, y> / <y, y> of the latest pair in use; min(1, 1 / |g|) before there is one."""
    used = known.rho[known.order] > 0
    latest = known.order[jnp.max(jnp.where(used, jnp.arange(used.size), 0))]
    yy, size = sum_sq(_entry(known.y, latest)), jnp.sqrt(sum_sq(g))
    any_used = jnp.any(used)
    before = jnp.minimum(1.0, 1 / jnp.where(size > 0, size, 1))
    return jnp.where(any_used, 1 / jnp.where(any_used, known.rho[latest] * yy, 1), before)


def _times_inverse_hessian(g: list[Array], known: _Curvature, scale: Numeric) -> list[Array]:
    """H g by the two loops of Nocedal's recursion, starting with H = `scale` times the identity."""

    def back(q: list[Array], i: Array) -> tuple[list[Array], Array]:
        alpha = known.rho[i] * dot(_entry(known.s, i), q)
        return _add(q, -alpha, _entry(known.y, i)), alpha

    def forth(r: list[Array], i_alpha: tuple[Array, Array]) -> tuple[list[Array], None]:
        i, alpha = i_alpha
        beta = known.rho[i] * dot(_entry(known.y, i), r)
        return _add(r, alpha - beta, _entry(known.s, i)), None

    q, alphas = jax.lax.scan(back, g, known.order, reverse=True)
    r = [cast(scale * x, x.dtype) for x in q]
    return jax.lax.scan(forth, r, (known.order, alphas))[0]


@transformation
def scale_by_lbfgs(memory_size: int = 10, scale_init_precond: bool = True):
    """Multiplies the gradient by an inverse Hessian estimated from the last steps (limited-memory BFGS).

    s = p - p_before; y = g - g_before; rho = 1 / <s, y>, for the last memory_size steps; then
    H = V' H V + rho s s' with V = I - rho y s', from the oldest pair on, starting with H = gamma I.

    Args:
        memory_size: how many pairs (s, y) to keep, at least 1.
        scale_init_precond: gamma = <s, y> / <y, y> of the latest pair, and min(1, 1 / |g|) before
            there is one. False: gamma = 1.

    If the curvature <s, y> is not safely positive, the pair is left out: its weight is 0. So H is positive
    definite in every precision. Optax leaves out pairs with curvature 0 only.

    State: `ScaleByLBFGSState`: count i32, params and updates of the step before, memories of s and y
        in the dtypes of the parameters, weights in at least float32.
    Memory: 2 + 2 memory_size x the parameters.
    Raises: ValueError for a memory_size below 1, or if `update` gets no parameters.
    Reference: Liu and Nocedal, 1989, On the limited memory BFGS method for large scale optimization;
        Nocedal and Wright, 2006, Numerical Optimization, algorithm 7.4.

    Example:
        >>> tx, p = gc.scale_by_lbfgs(), jnp.array([4.0])
        >>> state = tx.init(p)
        >>> for p in (jnp.array([4.0]), jnp.array([3.0])):  # then the curvature, 3, is known: u = p
        ...     u, state = tx.update(3 * p, state, p)
        >>> print([round(x, 3) for x in u.tolist()])
        [3.0]
    """
    if memory_size < 1:
        raise ValueError(f"scale_by_lbfgs: memory_size must be at least 1, received {memory_size!r}.")

    def stacked(p: Array) -> Array:
        zeros = zeros_like(p)
        return jnp.zeros_like(jnp.broadcast_to(zeros, (memory_size, *zeros.shape)))

    def init(ps: list[Array]) -> ScaleByLBFGSState:
        return ScaleByLBFGSState(
            count=0,
            params=[zeros_like(p) for p in ps],
            updates=[zeros_like(p) for p in ps],
            diff_params_memory=[stacked(p) for p in ps],
            diff_updates_memory=[stacked(p) for p in ps],
            weights_memory=jnp.zeros((memory_size,), scalar_dtype(ps)),
        )

    def update(
        g: list[Array], state: ScaleByLBFGSState, p: list[Array], *, settings: Sequence[np.dtype]
    ) -> tuple[list[Array], ScaleByLBFGSState]:
        before = state.count - 1
        # Changes are stored in the dtypes of the parameters. The curvature is computed from these.
        change = lambda dtype, new, old: widen(cast(new - old, dtype))  # noqa: E731
        s = each_with(change, settings, p, state.params)
        y = each_with(change, settings, g, state.updates)
        eps = max((float(jnp.finfo(real_dtype(dtype)).eps) for dtype in settings), default=0.0)
        rho = jnp.where(before > 0, _safe_weight(s, y, eps), 0)
        latest = (before - 1) % memory_size

        def remember(memory: Array, x: Array) -> Array:
            return memory.at[latest].set(jnp.where(rho > 0, x, 0))

        known = _Curvature(
            each(remember, state.diff_params_memory, s),
            each(remember, state.diff_updates_memory, y),
            state.weights_memory.at[latest].set(cast(rho, state.weights_memory.dtype)),
            (before + jnp.arange(memory_size)) % memory_size,
        )
        scale = _first_scale(g, known) if scale_init_precond else 1.0
        u = _times_inverse_hessian(g, known, scale)
        return u, state._replace(
            params=p,
            updates=g,
            diff_params_memory=known.s,
            diff_updates_memory=known.y,
            weights_memory=known.rho,
        )

    return treewise(init, update, like_params=False, settings=lambda params: jax.tree.map(dtype_of, params))


@transformation
def lbfgs(
    learning_rate: ScalarOrSchedule | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = TWENTY_TRIALS,
):
    """L-BFGS with a line search: for smooth losses of all the data at once.

    u = -learning_rate H g, with `scale_by_lbfgs`'s H; p = p + t u, with the line search's t.

    `gradchain.tools.minimize(fun, params)` runs it to convergence; `gradchain.tools.make_step` gives
    its `update` the `value`, `grad` and `value_fn` that it needs.

    Args:
        learning_rate: factor of the step before the search: a number or a schedule; None for 1.
        memory_size, scale_init_precond: see `scale_by_lbfgs`.
        linesearch: a line search; None for steps of length learning_rate.

    State: `(ScaleByLBFGSState, EmptyState or ScaleByScheduleState, the line search's)`.
    Memory: 3 + 2 memory_size x the parameters; 2 more while searching.
    Raises: ValueError for a memory_size below 1, or if `update` gets no parameters; TypeError if it
        lacks an argument of the line search.
    Reference: Liu and Nocedal, 1989, On the limited memory BFGS method for large scale optimization.

    Example:
        >>> loss = lambda p: (p[0] - 1) ** 2 + 5 * (p[1] - 2) ** 2
        >>> result = gc.minimize(loss, jnp.array([0.0, 0.0]), gc.lbfgs(), tol=1e-3)
        >>> [round(x, 2) for x in result.params.tolist()]
        [1.0, 2.0]
    """
    return chain(
        scale_by_lbfgs(memory_size, scale_init_precond),
        scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate),
        identity() if linesearch is None else linesearch,
    )
