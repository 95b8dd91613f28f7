"""L-BFGS: Newton's step from the last few changes of parameters and gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core.chain import chain, identity
from ..core.dtypes import cast, dtype_of, real_dtype, relaxed_promotion, widen
from ..core.errors import MissingParamsError
from ..core.numerics import safe_increment, zeros_like
from ..core.pair import GradientTransformation, GradientTransformationExtraArgs, transformation
from ..core.types import OptState, Params, ScalarOrSchedule, Updates
from ..core.whole import Present, copy_of, dot, each, scalar_dtype, sum_sq
from ..linesearch.zoom import scale_by_zoom_linesearch
from ..transforms.scaling import scale, scale_by_learning_rate

TWENTY_TRIALS = scale_by_zoom_linesearch(max_linesearch_steps=20, initial_guess_strategy="one")


class ScaleByLBFGSState(NamedTuple):
    """State of `scale_by_lbfgs`."""

    count: Any  # i32[]  steps taken
    params: Params  # like params, those of the step before
    updates: Params  # like params, the gradients of the step before
    diff_params_memory: Params  # like params with a first axis of memory_size: changes s
    diff_updates_memory: Params  # the same, of the gradients: changes y
    weights_memory: Any  # f32[memory_size]  1 / <s, y>, or 0 for a pair that is left out


class _Memory(NamedTuple):
    """The state's fields as lists of the leaves that have a gradient."""

    params: list[Any]
    updates: list[Any]
    s: list[Any]
    y: list[Any]


def _safe_weight(s: list[Any], y: list[Any], eps: float) -> jax.Array:
    """1 / <s, y>, or 0 where that curvature is not above what rounding leaves of none."""
    curvature, ss, yy = dot(s, y), sum_sq(s), sum_sq(y)
    tiny = jnp.finfo(curvature.dtype).tiny
    # By square roots: the product of the squared lengths would underflow.
    safe = (curvature > eps * jnp.sqrt(ss) * jnp.sqrt(yy)) & (curvature > 4 * tiny) & (yy > tiny)
    safe = safe & jnp.isfinite(curvature) & jnp.isfinite(ss) & jnp.isfinite(yy)
    return jnp.where(safe, 1 / jnp.where(safe, curvature, 1), 0)


@transformation
def scale_by_lbfgs(
    memory_size: int = 10, scale_init_precond: bool = True
) -> GradientTransformationExtraArgs:
    """Multiplies the gradient by the inverse Hessian that the last steps show (limited-memory BFGS).

    s = p - p_before; y = g - g_before; rho = 1 / <s, y>, for the last memory_size steps; then
    H = V' H V + rho s s' with V = I - rho y s', from the oldest, beginning with H = gamma I.

    Args:
        memory_size: how many pairs (s, y) to keep, at least 1.
        scale_init_precond: gamma = <s, y> / <y, y> of the latest pair, and min(1, 1 / |g|) before
            there is one. False: gamma = 1.

    A pair whose curvature <s, y> is not safely positive is left out (its weight is 0), so that H is
    positive definite in every precision. Optax takes every pair but those of curvature 0.

    State: `ScaleByLBFGSState`: count i32, params and updates of the step before, memories of s and y
        in the dtypes of the parameters, weights in at least float32.
    Memory: 2 + 2 memory_size x the parameters.
    Raises: ValueError for a memory_size below 1, or if `update` gets no parameters.
    Reference: Liu and Nocedal, 1989, On the limited memory BFGS method for large scale optimization;
        Nocedal and Wright, 2006, Numerical Optimization, algorithm 7.4.
    """
    if memory_size < 1:
        raise ValueError(f"scale_by_lbfgs: memory_size must be at least 1, received {memory_size!r}.")

    def stacked(p: Any) -> jax.Array:
        zeros = zeros_like(p)
        return jnp.zeros_like(jnp.broadcast_to(zeros, (memory_size, *zeros.shape)))

    def init(params: Params) -> ScaleByLBFGSState:
        return ScaleByLBFGSState(
            count=jnp.zeros((), jnp.int32),
            params=jax.tree.map(zeros_like, params),
            updates=jax.tree.map(zeros_like, params),
            diff_params_memory=jax.tree.map(stacked, params),
            diff_updates_memory=jax.tree.map(stacked, params),
            weights_memory=jnp.zeros((memory_size,), scalar_dtype(params)),
        )

    @jax.jit
    def step(gs: Any, ps: Any, memory: _Memory, rhos: Any, count: Any) -> tuple[Any, _Memory, Any]:
        with relaxed_promotion():
            # Changes are kept in the dtypes of the parameters: curvature is that of what is kept.
            change = lambda new, old, kept: widen(cast(widen(new) - widen(old), kept.dtype))  # noqa: E731
            s = each(change, ps, memory.params, memory.s)
            y = each(change, gs, memory.updates, memory.y)
            eps = max((float(jnp.finfo(real_dtype(m.dtype)).eps) for m in memory.s), default=0.0)
            rho = jnp.where(count > 0, _safe_weight(s, y, eps), 0)
            latest = (count - 1) % memory_size
            put = lambda m, x: m.at[latest].set(cast(jnp.where(rho > 0, x, 0), m.dtype))  # noqa: E731
            s_memory, y_memory = each(put, memory.s, s), each(put, memory.y, y)
            rhos = rhos.at[latest].set(cast(rho, rhos.dtype))
            order = (count + jnp.arange(memory_size)) % memory_size  # from the oldest
            wide = [widen(g) for g in gs]
            gamma = 1.0
            if scale_init_precond:
                gamma = initial_scale(wide, y_memory, rhos, order)
            us = two_loops(wide, s_memory, y_memory, rhos, order, gamma)
            us = [cast(u, dtype_of(g)) for u, g in zip(us, gs, strict=True)]
            kept = lambda x, old: jnp.array(x, dtype=old.dtype, copy=True)  # noqa: E731
            new = _Memory(each(copy_of, ps), each(kept, gs, memory.updates), s_memory, y_memory)
            return us, new, rhos

    def initial_scale(g: list[Any], y_memory: list[Any], rhos: Any, order: Any) -> Any:
        used = rhos[order] > 0
        latest = order[jnp.max(jnp.where(used, jnp.arange(memory_size), 0))]
        yy = sum_sq([widen(m[latest]) for m in y_memory])
        size = jnp.sqrt(sum_sq(g))
        start = jnp.minimum(1.0, 1 / jnp.where(size > 0, size, 1))
        any_used = jnp.any(used)
        return jnp.where(any_used, 1 / jnp.where(any_used, rhos[latest] * yy, 1), start)

    def two_loops(g: Any, s_memory: Any, y_memory: Any, rhos: Any, order: Any, gamma: Any) -> list[Any]:
        add = lambda x, scalar, y: x + cast(scalar, real_dtype(x.dtype)) * y  # noqa: E731

        def added(xs: list[Any], scalar: Any, ys: list[Any]) -> list[Any]:
            return each(lambda x, y: add(x, scalar, y), xs, ys)

        def at(memory: list[Any], i: Any) -> list[Any]:
            return each(lambda m: widen(m[i]), memory)

        def back(q: list[Any], i: Any) -> tuple[list[Any], Any]:
            alpha = rhos[i] * dot(at(s_memory, i), q)
            return added(q, -alpha, at(y_memory, i)), alpha

        def forth(r: list[Any], i_alpha: Any) -> tuple[list[Any], None]:
            i, alpha = i_alpha
            beta = rhos[i] * dot(at(y_memory, i), r)
            return added(r, alpha - beta, at(s_memory, i)), None

        q, alphas = jax.lax.scan(back, g, order, reverse=True)
        r = [cast(gamma * x, x.dtype) for x in q]
        return jax.lax.scan(forth, r, (order, alphas))[0]

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        if params is None:
            raise MissingParamsError("scale_by_lbfgs")
        present = Present("scale_by_lbfgs", updates, params)
        ps = present.of("parameters", params)

        def kept(tree: Any) -> list[Any]:
            leaves = present.all_of("state", tree)
            return [leaves[i] for i in present.places]

        memory = _Memory(
            present.of("state's params", state.params),
            present.of("state's updates", state.updates),
            kept(state.diff_params_memory),
            kept(state.diff_updates_memory),
        )
        us, new, weights = step(present.gs, ps, memory, state.weights_memory, state.count)
        return present.put(us, updates), ScaleByLBFGSState(
            count=safe_increment(state.count),
            params=present.put(new.params, state.params),
            updates=present.put(new.updates, state.updates),
            diff_params_memory=present.put(new.s, state.diff_params_memory),
            diff_updates_memory=present.put(new.y, state.diff_updates_memory),
            weights_memory=weights,
        )

    return GradientTransformationExtraArgs(init, update)


@transformation
def lbfgs(
    learning_rate: ScalarOrSchedule | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = TWENTY_TRIALS,
) -> GradientTransformationExtraArgs:
    """L-BFGS with a line search: for smooth losses of all the data at once.

    u = -learning_rate H g, with `scale_by_lbfgs`'s H; p = p + t u, with the line search's t.

    `gradchain.tools.minimize(fun, params)` runs it to convergence; `gradchain.tools.make_step` gives
    its `update` the `value`, `grad` and `value_fn` that it needs.

    Args:
        learning_rate: a number or schedule before the search, None for 1.
        memory_size: how many steps to remember, at least 1.
        scale_init_precond: begin H from the scale of the latest step.
        linesearch: a line search, or None: then learning_rate alone is the length.

    State: `(ScaleByLBFGSState, EmptyState or ScaleByScheduleState, the line search's)`.
    Memory: 3 + 2 memory_size x the parameters; 2 more while searching.
    Raises: ValueError for a memory_size below 1, or if `update` gets no parameters; TypeError if it
        lacks an argument of the line search.
    Reference: Liu and Nocedal, 1989, On the limited memory BFGS method for large scale optimization.
    """
    return chain(
        scale_by_lbfgs(memory_size, scale_init_precond),
        scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate),
        identity() if linesearch is None else linesearch,
    )
