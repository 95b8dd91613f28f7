"""AdaMaxW: AdaMax with decoupled weight decay."""

from ..core import chain, transformation
from ..core.types import DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_adamax, scale_by_learning_rate


@transformation(deferred=True)
def adamaxw(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """AdaMaxW: p = p - learning_rate (m' / v + weight_decay p), with m' and v as in `adamax`.

    Args:
        eps: see `scale_by_adamax`.

    State: a chain's: `ScaleByAdamState`, the decay's, the learning rate's. Memory: 2 x the parameters.
    Reference: Loshchilov and Hutter, 2017, Decoupled Weight Decay Regularization, arXiv:1711.05101;
        Kingma and Ba, 2014, section 7.1, arXiv:1412.6980.

    Example:
        >>> tx, p = gc.adamaxw(0.5, weight_decay=0.25), jnp.array([4.0, 4.0])
        >>> p, state = tx.step(jnp.array([0.0, 2.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # decay of 0.5 (0.25 4), and a step of 0.5
        [3.5, 3.0]
    """
    return chain(
        scale_by_adamax(b1, b2, eps, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
