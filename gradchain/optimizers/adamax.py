"""AdaMax: Adam with an infinity norm."""

from ..core import chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import scale_by_adamax, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(deferred=True)
def adamax(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """AdaMax: m = b1 m + (1 - b1) g;  v = max(|g| + eps, b2 v);  p = p - learning_rate m' / v.

    Args:
        eps: see `scale_by_adamax`.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the learning rate's. Memory: 2 x the parameters.
    Reference: Kingma and Ba, 2014, Adam: A Method for Stochastic Optimization, section 7.1,
        arXiv:1412.6980.

    Example:
        >>> tx, p = gc.adamax(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, 1.0], [0.0, 1.0]):  # v stays near the largest gradient
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, -0.5]
        [-0.737, -1.0]
    """
    return chain(
        scale_by_adamax(b1, b2, eps, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
