"""Signum: the sign of momentum."""

from ..core import CLOSED_UNIT, chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import ema, scale_by_learning_rate, scale_by_sign
from ..transforms.decay import decoupled


@transformation(deferred=True, beta=CLOSED_UNIT)
def signum(
    learning_rate: ScalarOrSchedule,
    beta: ScalarOrSchedule = 0.9,
    accumulator_dtype: DTypeLike | None = None,
    *,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Signum: m = beta m + (1 - beta) g;  p = p - learning_rate sign(m).

    Args:
        learning_rate: the step of every entry: a number, an array or a schedule.
        beta: decay of the average, in [0, 1].
        accumulator_dtype: dtype of the average, by default the parameter's.

    State: a chain's: `EmaState(count, ema)`, `EmptyState`, the learning rate's. Memory: 1 x the parameters.
    Reference: Bernstein et al., 2018, signSGD: Compressed Optimisation for Non-Convex Problems,
        arXiv:1802.04434.

    Example:
        >>> tx, p = gc.signum(0.25, beta=0.5), jnp.array([1.0])
        >>> state = tx.init(p)
        >>> for g in (4.0, -1.0):  # the average is still positive
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist())
        [0.75]
        [0.5]
    """
    return chain(
        ema(beta, debias=False, accumulator_dtype=accumulator_dtype),
        scale_by_sign(),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
