"""AdaDelta: step sizes in the parameters' own units."""

from typing import NamedTuple

from ..core import Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, ema, sqrt
from ..core.types import Array, MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class ScaleByAdaDeltaState(NamedTuple):
    """State of `scale_by_adadelta`."""

    e_g: Params  # like |params|, at least float32; moving average of squared gradients
    e_x: Params  # like |params|, at least float32; moving average of squared steps


@transformation
def scale_by_adadelta(rho: Numeric = 0.9, eps: Numeric = 1e-6):
    """Rescales by the size of past steps over the size of past gradients.

    G = rho G + (1 - rho) |g|^2;  u = g sqrt(X + eps) / sqrt(G + eps);  X = rho X + (1 - rho) |u|^2.

    Args:
        rho: decay of both averages, in [0, 1).
        eps: at least 0. It sets the size of the first steps.

    State: `ScaleByAdaDeltaState(e_g, e_x)`. Memory: 2 x the parameters.
    Reference: Zeiler, 2012, ADADELTA: An Adaptive Learning Rate Method, arXiv:1212.5701.

    Example:
        >>> tx, p = gc.scale_by_adadelta(rho=0.5, eps=1.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 4.0], [1.0, 4.0]):
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.816, 1.333]
        [0.873, 1.525]
    """

    def init(p: Array) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(e_g=accumulator_like(p), e_x=accumulator_like(p))

    def update(g: Array, s: ScaleByAdaDeltaState, p: Array | None) -> tuple[Array, ScaleByAdaDeltaState]:
        e_g = ema(abs_sq(g), s.e_g, rho)
        u = sqrt(s.e_x + eps) / sqrt(e_g + eps) * g
        return u, s._replace(e_g=e_g, e_x=ema(abs_sq(u), s.e_x, rho))

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True)
def adadelta(
    learning_rate: ScalarOrSchedule | None = None,
    rho: Numeric = 0.9,
    eps: Numeric = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """AdaDelta: p = p - learning_rate g sqrt(X + eps) / sqrt(G + eps).

    G and X are moving averages of squared gradients and squared steps, see `scale_by_adadelta`.

    Args:
        learning_rate: a number, an array or a schedule; in the paper 1. None leaves out the
            rate and the sign.
        rho, eps: see `scale_by_adadelta`.
        weight_decay, weight_decay_mask: an L2 penalty, added to the gradient before the rule.

    State: a chain's: the decay's, `ScaleByAdaDeltaState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Zeiler, 2012, ADADELTA: An Adaptive Learning Rate Method, arXiv:1212.5701.

    Example:
        >>> tx, p = gc.adadelta(1.0, rho=0.5, eps=1.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 0.0], [1.0, 0.0]):  # the first step is 1 / sqrt(3 / 2)
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.816, 0.0]
        [-1.689, 0.0]
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )
