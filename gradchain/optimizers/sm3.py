"""SM3: Adagrad whose memory is a row and a column instead of a matrix."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..core import CLOSED_UNIT, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, ema, one_minus, zeros_like
from ..core.types import AddedNumber, Array, MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..transforms.decay import decoupled
from ..transforms.scaling import scale_by_learning_rate


class ScaleBySM3State(NamedTuple):
    """State of `scale_by_sm3`."""

    mu: Params  # for each array a list of vectors, one for each dimension, real, at least float32
    nu: Params  # like params; momentum


def _maximum_along(x: Array) -> list[Array]:
    """For each dimension, the maximum over all others; for a scalar, the scalar itself."""
    dims = range(x.ndim)
    return [jnp.max(x, [j for j in dims if j != i], initial=0) for i in dims] if x.ndim else [x]


def _spread(v: Array, i: int, ndim: int) -> Array:
    """The vector of dimension `i` as an array of `ndim` dimensions."""
    return jnp.expand_dims(v, [j for j in range(ndim) if j != i]) if ndim else v


@transformation(b2=CLOSED_UNIT)
def scale_by_sm3(b1: Numeric = 0.9, b2: Numeric = 1.0, eps: Numeric = 1e-8):
    """Rescales by an upper bound of Adagrad's sum of squares, kept as one vector per dimension.

    a_ij = min(row_i, column_j) + |g_ij|^2;  row_i = max_j a_ij;  column_j = max_i a_ij;
    u = b1 u + (1 - b1) g / sqrt(a + eps), and g / sqrt(a + eps) = 0 where a = 0. With b2 < 1,
    a_ij = b2 min(row_i, column_j) + (1 - b2) |g_ij|^2.

    Args:
        b1: decay of the momentum, in [0, 1).
        b2: decay of the sum of squares, in [0, 1].
        eps: added inside the square root, at least 0.

    State: `ScaleBySM3State(mu, nu)`. Memory: 1 x the parameters, and a vector for each dimension.
    Reference: Anil et al., 2019, Memory-Efficient Adaptive Optimization, arXiv:1901.11150.

    Example:
        >>> tx, p = gc.scale_by_sm3(), jnp.zeros((3, 4))
        >>> [x.shape for x in jax.tree.leaves(tx.init(p)) if x.size > 1]  # 3 and 4 in place of 12; momentum
        [(3,), (4,), (3, 4)]
    """

    def init(p: Array) -> ScaleBySM3State:
        return ScaleBySM3State(mu=_maximum_along(accumulator_like(p)), nu=zeros_like(p))

    def update(g: Array, s: ScaleBySM3State, p: Array | None) -> tuple[Array, ScaleBySM3State]:
        bound = functools.reduce(jnp.minimum, [_spread(v, i, g.ndim) for i, v in enumerate(s.mu)])
        total = jnp.where(b2 == 1, 1, one_minus(b2)) * abs_sq(g) + b2 * bound
        seen = total > 0
        u = ema(g * jnp.where(seen, jax.lax.rsqrt(jnp.where(seen, total, 1) + eps), 0), s.nu, b1)
        return u, s._replace(mu=_maximum_along(total), nu=u)

    return leafwise(init, update, like_params=False, traits=[Trait.RESCALES])


@transformation
def sm3(
    learning_rate: ScalarOrSchedule,
    momentum: Numeric = 0.9,
    *,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """SM3: u = momentum u + (1 - momentum) g / sqrt(a);  p = p - learning_rate u.

    a is an upper bound of the sum of squared gradients, stored as one vector for each dimension of each
    array, see `scale_by_sm3`.

    Args:
        momentum: decay of the averaged steps, in [0, 1).

    State: a chain's: `ScaleBySM3State(mu, nu)`, then the learning rate's.
    Memory: 1 x the parameters, and a vector for each dimension.
    Reference: Anil et al., 2019, Memory-Efficient Adaptive Optimization, arXiv:1901.11150.

    Example:
        >>> tx, p = gc.sm3(1.0, momentum=0.0), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # of one axis it is Adagrad: 1, then 1 / sqrt(2)
        ...     p, state = tx.step(jnp.array([-5.0]), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [1.0]
        [1.707]
    """
    return chain(
        scale_by_sm3(momentum),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
