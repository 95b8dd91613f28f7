"""Ranger: RAdam on centralized gradients, inside of lookahead."""

from ..core import CLOSED_UNIT, FINITE, chain, identity, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import centralize, lookahead, scale_by_learning_rate
from ..transforms.decay import decoupled
from ..transforms.scale_by_radam import scale_by_radam


@transformation(slow_step_size=CLOSED_UNIT, threshold=FINITE)
def ranger(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.95,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-5,
    sync_period: int = 6,
    slow_step_size: float = 0.5,
    threshold: ScalarOrSchedule = 5.0,
    use_gc: bool = True,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Ranger: `lookahead` around RAdam, whose gradients have mean zero in each row.

        lookahead(chain(centralize(), scale_by_radam(...), scale_by_learning_rate(learning_rate)), 6, 0.5)

    The slow weights are in the state: `eval_params` gives them. The author's code adds eps before
    debiasing, here it is added after.

    Args:
        threshold: of `scale_by_radam`; before it is reached, steps are those of momentum.
        sync_period, slow_step_size: see `lookahead`.
        use_gc: whether to subtract means from gradients: see `centralize`.

    State: `LookaheadState`, in which is a chain's. Memory: 3 x the parameters.
    Raises: ValueError for a period below 1, or if `update` gets no parameters.
    Reference: Wright, 2019, Ranger: a synergistic deep learning optimizer.

    Example:
        >>> tx, p = gc.ranger(0.25, sync_period=2), jnp.array([[1.0, 3.0]])
        >>> p, _ = tx.step(jnp.array([[1.0, 5.0]]), tx.init(p), p)
        >>> [[round(x, 3) for x in row] for row in p.tolist()]  # the centered gradient is [-2, 2]
        [[1.5, 2.5]]
    """
    fast = chain(
        centralize() if use_gc else identity(),
        scale_by_radam(b1, b2, eps, threshold=threshold, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    return lookahead(fast, sync_period, slow_step_size)
