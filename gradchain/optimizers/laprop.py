"""LaProp: momentum of gradients that are normalized first."""

from ..core import Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, ratio, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation
def scale_by_laprop(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-15,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Averages gradients that are divided by their root mean square.

    v = b2 v + (1 - b2) |g|^2;  n = g / (sqrt(v') + eps), v' debiased;  m = b1 m + (1 - b1) n;  u = m'.

    Adam divides the average of the gradients instead. Here no step is longer than the gradients' signs
    would be, whatever b1 and b2, so that any b2 may go with any b1.

    State: `ScaleByAdamState(count, mu, nu)`; mu is the average of n. Memory: 2 x the parameters.
    Reference: Ziyin, Wang and Ueda, 2020, arXiv:2002.04839.

    Example:
        >>> tx, p = gc.scale_by_laprop(b1=0.5, b2=0.5, eps=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 2.0], [1.0, 0.0]):  # the second entry averages 1 and 0
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [1.0, 0.333]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        nu = ema(abs_sq(g), s.nu, b2)
        mu = ema(ratio(g, sqrt(debias(nu, b2, s.count)) + eps), s.mu, b1)
        return debias(mu, b1, s.count), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True)
def laprop(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-15,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """LaProp: p = p - learning_rate (m' + weight_decay p), m the average of g / (sqrt(v') + eps).

    The authors' code puts the learning rate into the average and leaves it out of the decay. For a
    constant rate the first is the same, and their decay is `weight_decay` times the rate here.

    Args:
        learning_rate: the authors' default is 4e-4.
        b1, b2, eps: see `scale_by_laprop`.

    State: a chain's: `ScaleByAdamState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Ziyin, Wang and Ueda, 2020, LaProp: Separating Momentum and Adaptivity in Adam,
        arXiv:2002.04839.

    Example:
        >>> tx, p = gc.laprop(0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, -0.01], [3.0, -0.01]):  # steady gradients: steps of the rate
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.5, 0.5]
        [-1.0, 1.0]
    """
    return chain(
        scale_by_laprop(b1, b2, eps, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
