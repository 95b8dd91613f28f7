"""DoWG: DoG with gradients weighted by the distance moved."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import NON_NEGATIVE, chain, identity, transformation, treewise
from ..core.lists import each, scalar_dtype, sum_sq
from ..core.numerics import copy_of, ratio, sqrt
from ..core.types import Array, MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class DoWGState(NamedTuple):
    """State of `scale_by_dowg`."""

    init_params: Params  # like params; the initial parameters
    weighted_sq_norm_grads: Array  # f32[] (f64 for f64 params); weighted sum of squared norms
    estim_sq_dist: Array  # f32[]; largest squared distance from the start so far


@transformation(init_estim_sq_dist=NON_NEGATIVE)
def scale_by_dowg(init_estim_sq_dist: Numeric | None = None, eps: Numeric = 1e-4):
    """Rescales by the squared distance moved over the weighted gradients seen.

    r = max(r, |p - p_0|^2);  v = v + r |g|^2;  u = r g / (sqrt(v) + eps), norms over all parameters.

    Args:
        init_estim_sq_dist: first value of r, at least 0; None for eps.
        eps: added to the root, at least 0.

    State: `DoWGState(init_params, weighted_sq_norm_grads, estim_sq_dist)`. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Khaled, Mishchenko and Jin, 2023, arXiv:2305.16284.

    Example:
        >>> tx, p = gc.scale_by_dowg(init_estim_sq_dist=0.25, eps=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, 4.0], [3.0, 4.0]):  # of length sqrt(r), then sqrt(r / 2)
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.3, 0.4]
        [0.212, 0.283]
    """
    first = eps if init_estim_sq_dist is None else init_estim_sq_dist

    def init(ps: list[Array]) -> DoWGState:
        dtype = scalar_dtype(ps)
        return DoWGState(
            init_params=[copy_of(p) for p in ps],
            weighted_sq_norm_grads=jnp.zeros([], dtype),
            estim_sq_dist=jnp.asarray(first, dtype),
        )

    def update(g: list[Array], s: DoWGState, p: list[Array]) -> tuple[list[Array], DoWGState]:
        r = jnp.maximum(s.estim_sq_dist, sum_sq(each(jnp.subtract, s.init_params, p)))
        v = r * sum_sq(g) + s.weighted_sq_norm_grads
        rate = ratio(r, sqrt(v) + eps)
        return each(lambda g: rate * g, g), s._replace(weighted_sq_norm_grads=v, estim_sq_dist=r)

    return treewise(init, update)


@transformation(deferred=True, init_estim_sq_dist=NON_NEGATIVE)
def dowg(
    learning_rate: ScalarOrSchedule = 1.0,
    init_estim_sq_dist: Numeric | None = None,
    eps: Numeric = 1e-4,
    weight_decay: ScalarOrSchedule | None = None,
    mask: MaskOrFn = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """DoWG: p = p - learning_rate r g / (sqrt(sum_i r_i |g_i|^2) + eps), r the squared distance moved.

    Args:
        learning_rate: a number, an array or a schedule; usually 1.
        init_estim_sq_dist, eps: see `scale_by_dowg`.
        weight_decay: added to the gradient, see `add_decayed_weights`; None for none.

    State: a chain's: the decay's, `DoWGState`, the learning rate's. Memory: 1 x the parameters.
    Reference: Khaled, Mishchenko and Jin, 2023, DoWG Unleashed: An Efficient Universal Parameter-Free
        Gradient Descent Method, arXiv:2305.16284.

    Example:
        >>> tx, p = gc.dowg(init_estim_sq_dist=0.25), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # 0.5 g / |g|, then 0.5 / sqrt(2)
        ...     p, state = tx.step(-jnp.ones(1), state, p)
        ...     print([round(x, 2) for x in p.tolist()])
        [0.5]
        [0.85]
    """
    return chain(
        identity() if weight_decay is None else add_decayed_weights(weight_decay, mask),
        scale_by_dowg(init_estim_sq_dist, eps),
        scale_by_learning_rate(learning_rate),
    )
