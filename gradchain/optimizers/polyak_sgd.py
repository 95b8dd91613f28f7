"""Gradient descent with Polyak's step size, from the value of the loss."""

from typing import Any, Literal

import jax.numpy as jnp

from ..core import (
    FINITE,
    NON_NEGATIVE_OR_INF,
    GradientTransformationExtraArgs,
    MissingExtraError,
    chain,
    check_updates,
    identity,
    init_empty_state,
    relaxed_promotion,
    scaled,
    transformation,
)
from ..core.types import AddedNumber, EmptyState, MaskOrFn, Numeric, Params, ScalarOrSchedule, Updates
from ..transforms.decay import decoupled
from ..transforms.scaling import scale_by_learning_rate
from ..tree.norm import norm


@transformation(f_min=FINITE, max_learning_rate=NON_NEGATIVE_OR_INF)
def scale_by_polyak(
    f_min: Numeric = 0.0,
    max_learning_rate: Numeric = 1.0,
    eps: Numeric = 0.0,
    variant: Literal["sps", "sps+"] = "sps",
):
    """Scales the gradient by Polyak's step size.

    u = g min((value - f_min) / (|g|^2 + eps), max_learning_rate), with |g| the global 2-norm; 0 where
    |g|^2 + eps is at most 2.2e-16. `update` needs the extra argument `value`, the loss at the
    parameters.

    Args:
        f_min: a lower bound of the loss.
        max_learning_rate: the largest factor, at least 0.
        eps: added to the squared norm, at least 0.
        variant: "sps", or "sps+", which replaces a negative value - f_min by 0.

    State: `EmptyState`. Memory: none.
    Raises: ValueError for another `variant`; TypeError if `update` gets no `value`.
    Reference: Loizou et al., 2020, Stochastic Polyak Step-size for SGD, arXiv:2002.10542;
        Berrada, Zisserman and Kumar, 2019, Training Neural Networks for and by Interpolation,
        arXiv:1906.05661 (the bound).

    Example:
        >>> tx, g = gc.scale_by_polyak(), jnp.array([6.0, 8.0])
        >>> u, _ = tx.update(g, tx.init(g), value=25.0)
        >>> [round(x, 3) for x in u.tolist()]  # 25 / 10^2 of g
        [1.5, 2.0]
    """
    if variant not in ("sps", "sps+"):
        raise ValueError(f"scale_by_polyak: variant must be 'sps' or 'sps+', received {variant!r}.")

    def update(
        updates: Updates,
        state: EmptyState,
        params: Params | None = None,
        *,
        value: Numeric | None = None,
        **extra_args: Any,
    ) -> tuple[Updates, EmptyState]:
        if value is None:
            raise MissingExtraError("scale_by_polyak", "value")
        check_updates("scale_by_polyak", updates, params)
        with relaxed_promotion():
            square = norm(updates, squared=True) + eps
            gap = jnp.asarray(value).astype(square.dtype) - f_min
            if variant == "sps+":
                gap = jnp.maximum(gap, 0)
            seen = square > jnp.finfo(jnp.float64).eps
            step = jnp.where(seen, jnp.minimum(gap / jnp.where(seen, square, 1), max_learning_rate), 0)
        return scaled(updates, step), state

    return GradientTransformationExtraArgs(init_empty_state, update)


@transformation(f_min=FINITE, max_learning_rate=NON_NEGATIVE_OR_INF, scaling=FINITE)
def polyak_sgd(
    max_learning_rate: Numeric = 1.0,
    scaling: ScalarOrSchedule = 1.0,
    f_min: Numeric = 0.0,
    eps: Numeric = 0.0,
    variant: Literal["sps", "sps+"] = "sps",
    *,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Gradient descent with Polyak's step size, for losses with a known minimum.

    h = scaling g;  p = p - h min((value - f_min) / (|h|^2 + eps), max_learning_rate). `update` needs the
    extra argument `value`, the loss at the parameters.

    Args:
        max_learning_rate, f_min, eps, variant: see `scale_by_polyak`.
        scaling: multiplies the gradient first: a number, an array or a schedule.
        weight_decay, weight_decay_mask: an L2 penalty, added to the gradient.

    State: a chain's: a chain's of `EmptyState` and `scaling`'s, then `EmptyState`. Memory: none.
    Raises: TypeError if `update` gets no `value`.
    Reference: Loizou et al., 2020, Stochastic Polyak Step-size for SGD, arXiv:2002.10542.

    Example:
        >>> tx, p = gc.polyak_sgd(), jnp.array([3.0, 4.0])
        >>> p, _ = tx.step(2 * p, tx.init(p), p, value=jnp.sum(p**2))
        >>> [round(x, 3) for x in p.tolist()]  # the rate is 25 / 10^2
        [1.5, 2.0]
    """
    return chain(
        chain(identity(), *decoupled(weight_decay, weight_decay_mask), scale_by_learning_rate(scaling)),
        scale_by_polyak(f_min, max_learning_rate, eps, variant),
    )
