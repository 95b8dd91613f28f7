"""Schedule-Free gradient descent."""

from ..core import chain, identity, transformation
from ..core.types import DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..schedules.warmup import warmed_up
from ..transforms import add_decayed_weights, scale_by_learning_rate, schedule_free
from ..transforms.schedule_free import ABOVE_ZERO


@transformation(b1=ABOVE_ZERO)
def schedule_free_sgd(
    learning_rate: ScalarOrSchedule = 1.0,
    warmup_steps: int | None = None,
    b1: Numeric = 0.9,
    weight_decay: ScalarOrSchedule | None = None,
    weight_lr_power: Numeric = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """Gradient descent at y with a running average x in place of a schedule, see `schedule_free`.

    z = z - learning_rate (g(y) + weight_decay y);  x = average of z;  y = b1 x + (1 - b1) z.

    Args:
        warmup_steps: number of steps with a factor that rises linearly from 0 to 1; None or 0 for none.
        b1: weight of x in y, in (0, 1].
        weight_decay: added to the gradient; None for none.
        weight_lr_power, state_dtype: see `schedule_free`.

    State: `ScheduleFreeState`; `eval_params(state, params)` gives the parameters to evaluate.
    Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters, or for negative `warmup_steps`.
    Reference: Defazio et al., 2024, The Road Less Scheduled, arXiv:2405.15682.

    Example:
        >>> tx, p = gc.schedule_free_sgd(1.0, b1=0.5), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # z goes to 1 and 2; x, the mean, to 1 and 1.5
        ...     p, state = tx.step(jnp.array([-1.0]), state, p)
        ...     print(p.tolist(), gc.eval_params(state, p).tolist())
        [1.0] [1.0]
        [1.75] [1.5]
    """
    learning_rate = warmed_up("schedule_free_sgd", learning_rate, warmup_steps)
    base = chain(identity(), scale_by_learning_rate(learning_rate))
    if weight_decay is not None:
        base = chain(add_decayed_weights(weight_decay, weight_decay_mask), base)
    return schedule_free(base, learning_rate, b1, weight_lr_power, state_dtype)
