"""AdaHessian: Adam whose second moment is that of the Hessian's diagonal."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    POSITIVE,
    GradientTransformation,
    GradientTransformationExtraArgs,
    MissingParamsError,
    Trait,
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
from ..core.lists import each, each_with
from ..core.numerics import accumulator_like, debias, ema, ratio, zeros_like
from ..core.types import (
    AddedNumber,
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
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decoupled
from ..transforms.hutchinson import HUTCHINSON
from ..transforms.mean_blocks import BlockView, MeanBlocksOrFn, block_views, spatial_blocks


class AdaHessianState(NamedTuple):
    """State of `scale_by_adahessian`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients
    nu: Params  # a number for each block, at least float32, or nu_dtype; average of its squared curvature
    hessian_fn_state: OptState  # the estimator's


class _AdaHessianRuleState(NamedTuple):
    """The part of the state that the rule sees."""

    count: Count
    mu: Params
    nu: Params


@transformation(hessian_power=POSITIVE, update_interval=POSITIVE)
def scale_by_adahessian(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-4,
    hessian_power: Hyperparameter = 1.0,
    update_interval: Numeric = 1,
    blocks: MeanBlocksOrFn = spatial_blocks,
    hessian_diagonal_fn: GradientTransformation = HUTCHINSON,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Divides averaged gradients by the root mean square of an estimate of the Hessian's diagonal.

    Every `update_interval` steps, v = b2 v + (1 - b2) (mean of |diag(H)| over the block)^2;
    m = b1 m + (1 - b1) g;  u = m' / (v'^{hessian_power / 2} + eps), m' and v' debiased.

    v' counts the estimates, not the steps, so that its size does not depend on `update_interval`.

    Args:
        hessian_power: more than 0, usually at most 1; smaller ones trust the curvature less.
        update_interval: steps between estimates, at least 1.
        blocks: where curvature is averaged, see `scale_by_adam_mini`; by default over the height and width
            of convolutions, see `spatial_blocks`. None for nowhere.
        hessian_diagonal_fn: a transformation that returns the diagonal; it gets the extra arguments.
        nu_dtype: dtype of v, by default real and at least float32.

    State: `AdaHessianState(count, mu, nu, hessian_fn_state)`. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters, TypeError if it gets no `obj_fn`.
    Reference: Yao et al., 2020, arXiv:2006.00719.

    Example:
        >>> tx, p = gc.scale_by_adahessian(eps=0.0), jnp.array([1.0, 2.0])
        >>> u, _ = tx.update(4 * p**3, tx.init(p), p, obj_fn=lambda p: jnp.sum(p**4))
        >>> [round(x, 3) for x in u.tolist()]  # of a diagonal Hessian, Newton's step: 4 p^3 / (12 p^2)
        [0.333, 0.667]
    """
    estimator = with_extra_args_support(hessian_diagonal_fn)
    views = block_views("scale_by_adahessian", blocks)

    def init_rule(ps: list[Array], *, settings: Sequence[BlockView]) -> _AdaHessianRuleState:
        nu = [view.sum(accumulator_like(p, nu_dtype)) for view, p in zip(settings, ps, strict=True)]
        return _AdaHessianRuleState(count=0, mu=[zeros_like(p, mu_dtype) for p in ps], nu=nu)

    def update_rule(
        g: list[Array], s: _AdaHessianRuleState, p: list[Array], *, settings: Sequence[BlockView]
    ) -> tuple[list[Array], _AdaHessianRuleState]:
        estimates = (s.count - 1) // update_interval + 1

        def step(view: BlockView, mu: Array, nu: Array) -> Array:
            v = debias(nu, b2, estimates)
            root = jnp.where(v > 0, jnp.where(v > 0, v, 1) ** (hessian_power / 2), 0)
            return ratio(debias(mu, b1, s.count), view.spread(root) + eps)

        mu = each(lambda g, mu: ema(g, mu, b1), g, s.mu)
        return each_with(step, settings, mu, s.nu), s._replace(mu=mu)

    rule = treewise(init_rule, update_rule, name="scale_by_adahessian", like_params=False, settings=views)

    def init(params: Params) -> AdaHessianState:
        return AdaHessianState(*rule.init(params), hessian_fn_state=estimator.init(params))

    def averaged(diagonal: Any, view: BlockView | None, nu: Any) -> Any:
        if is_absent(diagonal) or view is None:
            return nu
        return cast(ema(view.mean(jnp.abs(widen(diagonal))) ** 2, widen(nu), b2), dtype_of(nu))

    @compiled
    def update(
        updates: Updates, state: AdaHessianState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, AdaHessianState]:
        if params is None:
            raise MissingParamsError("scale_by_adahessian")

        def estimate() -> tuple[Params, OptState]:
            diagonal, new = estimator.update(updates, state.hessian_fn_state, params, **extra_args)
            leaves, treedef = jax.tree.flatten(diagonal, is_leaf=is_none)
            seen = treedef.flatten_up_to(views(updates))
            nus = treedef.flatten_up_to(state.nu)
            with relaxed_promotion():
                return treedef.unflatten(map(averaged, leaves, seen, nus)), new

        due = state.count % update_interval == 0
        nu, inner = jax.lax.cond(due, estimate, lambda: (state.nu, state.hessian_fn_state))
        us, kept = rule.update(updates, _AdaHessianRuleState(state.count, state.mu, nu), params)
        return us, AdaHessianState(*kept, hessian_fn_state=inner)

    return GradientTransformationExtraArgs(init, update, traits=[Trait.RESCALES])


@transformation(hessian_power=POSITIVE, update_interval=POSITIVE)
def adahessian(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-4,
    hessian_power: ScalarOrSchedule = 1.0,
    update_interval: Numeric = 1,
    blocks: MeanBlocksOrFn = spatial_blocks,
    hessian_diagonal_fn: GradientTransformation = HUTCHINSON,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """AdaHessian: p = p - learning_rate (m' / (v'^{hessian_power / 2} + eps) + weight_decay p).

    v is an average of squared estimates of the Hessian's diagonal. `update` needs the extra arguments of
    the estimator, by default `obj_fn=loss`, a function of the parameters.

    Args:
        learning_rate: the authors' is 0.15, about that of SGD.
        eps, hessian_power, update_interval, blocks: see `scale_by_adahessian`.
        hessian_diagonal_fn, nu_dtype: see `scale_by_adahessian`.

    State: a chain's: `AdaHessianState`, the learning rate's. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters, TypeError if it gets no `obj_fn`.
    Reference: Yao et al., 2020, ADAHESSIAN: An Adaptive Second Order Optimizer for Machine Learning,
        arXiv:2006.00719.

    Example:
        >>> tx, p = gc.adahessian(0.5), jnp.array([1.0, 2.0])
        >>> p, _ = tx.step(4 * p**3, tx.init(p), p, obj_fn=lambda p: jnp.sum(p**4))
        >>> [round(x, 2) for x in p.tolist()]  # half of Newton's step, p / 3
        [0.83, 1.67]
    """
    curvature = (hessian_power, update_interval, blocks, hessian_diagonal_fn)
    return chain(
        scale_by_adahessian(b1, b2, eps, *curvature, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
