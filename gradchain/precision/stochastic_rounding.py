"""Parameters rounded at random, so that small steps count on average."""

from typing import NamedTuple

from ..core import GradientTransformation, transformation
from ..core.types import Array, OptState
from ._weights import AtRandom, landing


class StochasticRoundingState(NamedTuple):
    """State of `stochastic_rounding`."""

    key: Array  # key[]  the key of the next step
    inner_state: OptState  # the inner transformation's, of float32 parameters


@transformation
def stochastic_rounding(tx: GradientTransformation, key: int | Array = 0):
    """Trains parameters in low precision without keeping more of them: each step is rounded at random.

    p = one of the two neighbours of p + u, with u the step of `tx` for p; the nearer, the likelier, so that
    the mean is p + u. Steps much smaller than the distance of neighbours are taken now and then.

        tx = stochastic_rounding(adamw(1e-3))

    Noise takes the place of what is lost: of about the root of (|u| s), with s the distance of neighbours.
    Moments, updates and landing: see `with_master_weights`.

    Args:
        tx: any transformation. Parameters of float32 or more, complex ones and integers step as they do
            without the wrapper.
        key: a random key, or an integer seed.

    State: `StochasticRoundingState(key, inner_state)`. Memory: `tx`'s.
    Raises: ValueError without parameters.
    Reference: Gupta et al., 2015, Deep Learning with Limited Numerical Precision, arXiv:1502.02551;
        Zamirai et al., 2020, Revisiting BFloat16 Training, arXiv:2010.06192.

    Example:
        >>> tx, p = gc.stochastic_rounding(gc.sgd(1.0)), jnp.ones(512, jnp.bfloat16)
        >>> p, _ = tx.step(jnp.full(512, -1 / 512, jnp.bfloat16), tx.init(p), p)
        >>> share = float((p > 1).mean())  # those rounded up, by 1 / 128: about a quarter
        >>> 0.15 < share < 0.35, sorted(set(p.tolist()))
        (True, [1.0, 1.0078125])
    """
    return landing("stochastic_rounding", tx, StochasticRoundingState, AtRandom(key))
