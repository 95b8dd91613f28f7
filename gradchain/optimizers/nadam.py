"""NAdam: Adam with Nesterov's momentum."""

from ..core import chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import scale_by_adam, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(deferred=True)
def nadam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """NAdam: Adam whose averaged gradient looks one step ahead.

    p = p - learning_rate (b1 m / (1 - b1^{t+1}) + (1 - b1) g / (1 - b1^t)) / (sqrt(v') + eps), with
    m, v and v' as in `scale_by_adam`.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the learning rate's. Memory: 2 x the parameters.
    Reference: Dozat, 2016, Incorporating Nesterov Momentum into Adam, ICLR Workshop.

    Example:
        >>> tx, p = gc.nadam(0.5, b1=0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, 0.0], [4.0, 0.0]):  # the first step: 0.5 (1/3 + 1)
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.667, 0.0]
        [-1.214, 0.0]
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
