"""Schedule-Free AdamW."""

from ..core import chain, transformation
from ..core.types import DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..schedules.warmup import warmed_up
from ..transforms import add_decayed_weights, scale_by_learning_rate, scale_by_rms, schedule_free
from ..transforms.schedule_free import ABOVE_ZERO


@transformation(b1=ABOVE_ZERO)
def schedule_free_adamw(
    learning_rate: ScalarOrSchedule = 0.0025,
    warmup_steps: int | None = None,
    b1: Numeric = 0.9,
    b2: Numeric = 0.999,
    eps: Numeric = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_lr_power: Numeric = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """AdamW at y with a running average x in place of momentum and a schedule, see `schedule_free`.

    z = z - learning_rate (g(y) / (sqrt(v') + eps) + weight_decay y);  x = average of z;
    y = b1 x + (1 - b1) z.

    Args:
        learning_rate: a number, an array or a schedule; up to ten times that of AdamW.
        warmup_steps: number of steps with a factor that rises linearly from 0 to 1; None or 0 for none.
        b1: weight of x in y, in (0, 1].
        weight_lr_power, state_dtype: see `schedule_free`.

    State: `ScheduleFreeState`; `eval_params(state, params)` gives the parameters to evaluate.
    Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters, or for negative `warmup_steps`.
    Reference: Defazio et al., 2024, The Road Less Scheduled, arXiv:2405.15682.

    Example:
        >>> tx, p = gc.schedule_free_adamw(0.5, b1=0.5), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # z goes to 0.5 and 1; x is its average
        ...     p, state = tx.step(jnp.array([-3.0]), state, p)
        ...     print([round(q.item(), 3) for q in (p, gc.eval_params(state, p))])
        [0.5, 0.5]
        [0.875, 0.75]
    """
    learning_rate = warmed_up("schedule_free_adamw", learning_rate, warmup_steps)
    base = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    return schedule_free(base, learning_rate, b1, weight_lr_power, state_dtype)
