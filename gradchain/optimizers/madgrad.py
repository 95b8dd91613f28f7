"""MADGRAD: dual averaging with momentum and cube roots."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import CLOSED_UNIT, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, copy_of, one_minus, ratio, wide_like
from ..core.types import Array, Count, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms.decay import add_decayed_weights


class MadgradState(NamedTuple):
    """State of `scale_by_madgrad`."""

    count: Count  # i32[]  steps taken
    grad_sum_sq: Params  # like |params|, at least float32; weighted sum of |g|^2
    s: Params  # like params, at least float32; weighted sum of g
    x0: Params  # like params; the initial parameters


@transformation(momentum=CLOSED_UNIT)
def scale_by_madgrad(
    learning_rate: Hyperparameter, momentum: Hyperparameter = 0.9, eps: Hyperparameter = 1e-6
):
    """The step of MADGRAD, sign and learning rate included.

    l = (learning_rate + eps) sqrt(t), t from 1;  s = s + l g;  v = v + l |g|^2;
    z = x_0 - s / (cbrt(v) + eps);  u = (1 - momentum) (z - p).

    Args:
        momentum: in [0, 1]; 0 for none.
        eps: at least 0.

    State: `MadgradState(count, grad_sum_sq, s, x0)`. Memory: 3 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Defazio and Jelassi, 2021, arXiv:2101.11075.

    Example:
        >>> tx, p = gc.scale_by_madgrad(1.0, momentum=0.5), jnp.array([0.0])
        >>> u, _ = tx.update(jnp.array([8.0]), tx.init(p), p)
        >>> [round(x, 3) for x in u.tolist()]  # half of -8 / cbrt(64)
        [-1.0]
    """

    def init(p: Array) -> MadgradState:
        return MadgradState(count=0, grad_sum_sq=accumulator_like(p), s=wide_like(p), x0=copy_of(p))

    def update(g: Array, s: MadgradState, p: Array) -> tuple[Array, MadgradState]:
        weight = (learning_rate + eps) * jnp.sqrt(jnp.asarray(s.count, s.grad_sum_sq.dtype))
        squares, total = s.grad_sum_sq + weight * abs_sq(g), s.s + weight * g
        z = s.x0 - ratio(total, jnp.cbrt(squares) + eps)
        return one_minus(momentum) * z + momentum * p - p, s._replace(grad_sum_sq=squares, s=total)

    return leafwise(init, update, needs_params=True)


@transformation(deferred=True, momentum=CLOSED_UNIT)
def madgrad(
    learning_rate: ScalarOrSchedule,
    momentum: ScalarOrSchedule = 0.9,
    weight_decay: ScalarOrSchedule = 0.0,
    eps: ScalarOrSchedule = 1e-6,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """MADGRAD: z = x_0 - s / cbrt(v), s and v sums of g and g^2;  p = p + (1 - momentum) (z - p).

    Args:
        learning_rate: a number, an array or a schedule; the rates of other optimizers do not fit.
        momentum, eps: see `scale_by_madgrad`.
        weight_decay: added to the gradient (an L2 penalty), see `add_decayed_weights`.

    State: a chain's: the decay's, `MadgradState(count, grad_sum_sq, s, x0)`. Memory: 3 x the parameters.
    Reference: Defazio and Jelassi, 2021, Adaptivity without Compromise: A Momentumized, Adaptive, Dual
        Averaged Gradient Method for Stochastic Optimization, arXiv:2101.11075.

    Example:
        >>> tx, p = gc.madgrad(1.0, momentum=0.0), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # s / cbrt(v) = 8 / 4 at first
        ...     p, state = tx.step(jnp.array([-8.0]), state, p)
        ...     print([round(x, 2) for x in p.tolist()])
        [2.0]
        [3.6]
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask), scale_by_madgrad(learning_rate, momentum, eps)
    )
