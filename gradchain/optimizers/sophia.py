"""Sophia: clipped steps, preconditioned by an estimate of the Hessian's diagonal."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    NON_NEGATIVE,
    POSITIVE,
    GradientTransformation,
    GradientTransformationExtraArgs,
    cast,
    chain,
    compiled,
    dtype_of,
    is_absent,
    is_none,
    relaxed_promotion,
    transformation,
    treewise,
    widen,
    with_extra_args_support,
)
from ..core.lists import each_of, total
from ..core.numerics import accumulator_like, debias, ema, ratio, zeros_like
from ..core.types import (
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Numeric,
    OptState,
    Params,
    ScalarOrSchedule,
    Updates,
)
from ..transforms import add_decayed_weights, scale_by_learning_rate
from ..transforms.hutchinson import (
    HUTCHINSON,
    HutchinsonState as HutchinsonState,
    hutchinson_estimator_diag_hessian as hutchinson_estimator_diag_hessian,
)


class SophiaState(NamedTuple):
    """State of `scale_by_sophia`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; average of the Hessian's diagonal
    hessian_fn_state: OptState  # the estimator's


class _SophiaRuleState(NamedTuple):
    """The part of the state that every step changes."""

    count: Count
    mu: Params
    nu: Params


@transformation(gamma=NON_NEGATIVE, clip_threshold=POSITIVE)
def scale_by_sophia(
    b1: Hyperparameter = 0.965,
    b2: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    gamma: Hyperparameter = 0.01,
    clip_threshold: Hyperparameter | None = 1.0,
    update_interval: Numeric = 10,
    hessian_diagonal_fn: GradientTransformation = HUTCHINSON,
    mu_dtype: DTypeLike | None = None,
    verbose: bool = False,
    print_win_rate_every_n_steps: Numeric = 0,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Divides averaged gradients by averaged curvature, and clips where curvature is small or negative.

    m = b1 m + (1 - b1) g;  u = clip(m / (1 - b1^t) / max(gamma h, eps), +-clip_threshold); then, every
    `update_interval` steps, h = b2 h + (1 - b2) diag(H).

    Args:
        eps: the smallest divisor, at least 0.
        gamma: at least 0; the larger, the fewer entries are clipped. A tenth to a half should not be.
        clip_threshold: the largest entry of u, more than 0; None for no bound.
        update_interval: steps between estimates, at least 1.
        hessian_diagonal_fn: a transformation that returns the diagonal; it gets the extra arguments.
        verbose, print_win_rate_every_n_steps: whether, and how often, to print the unclipped fraction.
        nu_dtype: dtype of h, by default real and at least float32.

    State: `SophiaState(count, mu, nu, hessian_fn_state)`. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Liu et al., 2023, arXiv:2305.14342.

    Example:
        >>> tx, p = gc.scale_by_sophia(b1=0.0, b2=0.0, gamma=1.0, update_interval=1), jnp.array([0.5, 3.0])
        >>> loss, state = lambda p: jnp.sum(p**2), tx.init(p)
        >>> for _ in range(2):  # clipped while no curvature is known; then 2 p / 2, at most 1
        ...     u, state = tx.update(2 * p, state, p, obj_fn=loss)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [0.5, 1.0]
    """
    estimator = with_extra_args_support(hessian_diagonal_fn)

    def init_rule(ps: list[Array]) -> _SophiaRuleState:
        return _SophiaRuleState(
            count=0,
            mu=[zeros_like(p, mu_dtype) for p in ps],
            nu=[accumulator_like(p, nu_dtype) for p in ps],
        )

    def update_rule(
        g: list[Array], s: _SophiaRuleState, p: list[Array]
    ) -> tuple[list[Array], _SophiaRuleState]:
        def leaf(g: Array, mu: Array, nu: Array) -> tuple[Array, Array, Array]:
            mu = ema(g, mu, b1)
            u = ratio(debias(mu, b1, s.count), jnp.maximum(gamma * nu, eps))
            if clip_threshold is None:
                return u, mu, jnp.zeros([], jnp.int32)
            unclipped = jnp.sum(jnp.abs(u) < clip_threshold, dtype=jnp.int32)
            return jnp.clip(u, -clip_threshold, clip_threshold), mu, unclipped

        u, mu, unclipped = each_of(3, leaf, g, s.mu, s.nu)
        if verbose and clip_threshold is not None:
            report(s.count, ratio(jnp.asarray(total(unclipped), jnp.float32), sum(x.size for x in g)))
        return u, s._replace(mu=mu)

    def report(count: Count, share: Array) -> None:
        every = jnp.asarray(print_win_rate_every_n_steps)
        due = (count % jnp.maximum(every, 1) == 0) & (every > 0)
        jax.lax.cond(due, lambda: jax.debug.print("sophia: unclipped {}", share), lambda: None)

    rule = treewise(init_rule, update_rule, name="scale_by_sophia")

    def init(params: Params) -> SophiaState:
        return SophiaState(*rule.init(params), hessian_fn_state=estimator.init(params))

    def averaged(diagonal: Array | None, nu: Array | None) -> Array | None:
        return nu if is_absent(diagonal) else cast(ema(widen(diagonal), widen(nu), b2), dtype_of(nu))

    @compiled
    def update(
        updates: Updates, state: SophiaState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, SophiaState]:
        us, kept = rule.update(updates, _SophiaRuleState(state.count, state.mu, state.nu), params)

        def estimate() -> tuple[Params, OptState]:
            diagonal, new = estimator.update(updates, state.hessian_fn_state, params, **extra_args)
            with relaxed_promotion():
                return jax.tree.map(averaged, diagonal, state.nu, is_leaf=is_none), new

        due = state.count % update_interval == 0
        nu, inner = jax.lax.cond(due, estimate, lambda: (state.nu, state.hessian_fn_state))
        return us, SophiaState(kept.count, kept.mu, nu, inner)

    return GradientTransformationExtraArgs(init, update)


@transformation(gamma=NON_NEGATIVE, clip_threshold=POSITIVE)
def sophia(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.965,
    b2: ScalarOrSchedule = 0.99,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4,
    weight_decay_mask: MaskOrFn = None,
    gamma: ScalarOrSchedule = 0.01,
    clip_threshold: ScalarOrSchedule | None = 1.0,
    update_interval: Numeric = 10,
    hessian_diagonal_fn: GradientTransformation = HUTCHINSON,
    mu_dtype: DTypeLike | None = None,
    verbose: bool = False,
    print_win_rate_every_n_steps: Numeric = 0,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Sophia: p = p - learning_rate (clip(m / max(gamma h, eps), +-1) + weight_decay p).

    h is an average of estimates of the Hessian's diagonal. `update` needs the extra arguments of the
    estimator, by default `obj_fn=loss`, a function of the parameters.

    Args:
        eps, gamma, clip_threshold, update_interval, hessian_diagonal_fn: see `scale_by_sophia`.
        nu_dtype, verbose, print_win_rate_every_n_steps: see `scale_by_sophia`.

    State: a chain's: `SophiaState`, the decay's, the learning rate's. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters, TypeError if it gets no `obj_fn`.
    Reference: Liu et al., 2023, Sophia: A Scalable Stochastic Second-order Optimizer for Language Model
        Pre-training, arXiv:2305.14342.

    Example:
        >>> tx, p = gc.sophia(0.25, weight_decay=0.0), jnp.array([1.0, 2.0])
        >>> p, _ = tx.step(4 * p**3, tx.init(p), p, obj_fn=lambda p: jnp.sum(p**4))
        >>> p.tolist()  # clipped: no entry moves by more than the rate
        [0.75, 1.75]
    """
    curvature = (gamma, clip_threshold, update_interval, hessian_diagonal_fn)
    printing = (verbose, print_win_rate_every_n_steps)
    return chain(
        scale_by_sophia(b1, b2, eps, *curvature, mu_dtype, *printing, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
