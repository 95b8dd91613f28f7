"""Adam."""

from ..core import chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import scale_by_adam, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(deferred=True)
def adam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Adam: steps along the averaged gradient over the root of its averaged square.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g|^2;
    p = p - learning_rate m' / (sqrt(v' + eps_root) + eps), with m' and v' debiased.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the learning rate's. Memory: 2 x the parameters.
    Reference: Kingma and Ba, 2014, Adam: A Method for Stochastic Optimization, arXiv:1412.6980.

    Example:
        >>> tx, p = gc.adam(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, -0.01], [3.0, -0.01]):  # steady gradients, large or small: steps of the rate
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.0, 1.0]
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
