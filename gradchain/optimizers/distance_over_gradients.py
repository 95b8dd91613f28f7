"""Step sizes from the distance travelled: layer-wise DoG."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import FINITE, NON_NEGATIVE, accumulator_dtype, dtype_of, leafwise, moment_dtype, transformation
from ..core.numerics import abs_sq, array_of, norm, sqrt
from ..core.types import Array, DTypeLike, Numeric, Params


class ScaleByDistanceOverGradientsState(NamedTuple):
    """State of `scale_by_distance_over_gradients`."""

    max_dist: Params  # real[] for each array; largest distance from its first value
    grad_sum_of_squares: Params  # real[1] for each array; sum of squared norms of its gradients
    init_params: Params  # like params in param_dtype; the first values


@transformation(reps_rel=NON_NEGATIVE, global_scale=FINITE)
def scale_by_distance_over_gradients(
    reps_rel: Numeric = 1e-6,
    eps: Numeric = 1e-8,
    param_dtype: DTypeLike = jnp.float32,
    global_scale: Numeric = 1.0,
):
    """Scales each array's update by its distance from the start over the norm of its gradients so far.

    d = max(d, |p - p_0|), from d = reps_rel (1 + |p_0|);  s = s + |g|^2;
    u = global_scale d g / sqrt(s + eps). It needs no learning rate: chain it with `scale(-1.0)`.

    Args:
        reps_rel: the first distance relative to 1 + |p_0|, at least 0.
        eps: added inside the square root, at least 0.
        param_dtype: dtype in which p_0 is kept (its complex kind for complex parameters).
        global_scale: factor of all updates.

    State: `ScaleByDistanceOverGradientsState(max_dist, grad_sum_of_squares, init_params)`.
    Memory: 1 x the parameters in `param_dtype`.
    Raises: ValueError if `update` gets no parameters.
    Reference: Ivgi, Hinder and Carmon, 2023, DoG is SGD's Best Friend: A Parameter-Free Dynamic Step
        Size Schedule, arXiv:2302.12022 (L-DoG).

    Example:
        >>> tx, p = gc.scale_by_distance_over_gradients(reps_rel=0.5, eps=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, 4.0], [3.0, 4.0]):  # of length d, then d / sqrt(2)
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.3, 0.4]
        [0.212, 0.283]
    """

    def init(p: Array) -> ScaleByDistanceOverGradientsState:
        first, real = array_of(p), accumulator_dtype(dtype_of(p))
        distance = reps_rel * (1 + norm(first.astype(moment_dtype(first.dtype, real))))
        kept = jnp.array(first, moment_dtype(first.dtype, param_dtype))  # a copy: p may be donated
        return ScaleByDistanceOverGradientsState(
            max_dist=distance.astype(real), grad_sum_of_squares=jnp.zeros((1,), real), init_params=kept
        )

    def update(
        g: Array, s: ScaleByDistanceOverGradientsState, p: Array
    ) -> tuple[Array, ScaleByDistanceOverGradientsState]:
        distance = jnp.maximum(s.max_dist, norm(p - s.init_params))
        total = s.grad_sum_of_squares + jnp.sum(abs_sq(g))
        root = sqrt(total[0] + eps)
        step = global_scale * distance / jnp.where(root > 0, root, 1)
        return step * g, s._replace(max_dist=distance, grad_sum_of_squares=total)

    return leafwise(init, update, needs_params=True, like_params=False)
