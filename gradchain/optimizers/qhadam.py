"""QHAdam: Adam between its averages and the present gradient."""

from ..core import CLOSED_UNIT, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(nu1=CLOSED_UNIT, nu2=CLOSED_UNIT)
def scale_by_qhadam(
    b1: Hyperparameter = 0.995,
    b2: Hyperparameter = 0.999,
    nu1: Hyperparameter = 0.7,
    nu2: Hyperparameter = 1.0,
    eps: Hyperparameter = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's rule on means of its debiased averages and the present gradient.

    u = (nu1 m' + (1 - nu1) g) / (sqrt(nu2 v' + (1 - nu2) |g|^2) + eps); m' and v' as in `scale_by_adam`,
    which this is for nu1 = nu2 = 1. The defaults are those that the authors recommend.

    Args:
        nu1, nu2: the weights of the averages, in [0, 1].

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Ma and Yarats, 2018, arXiv:1810.06801.

    Example:
        >>> tx, p = gc.scale_by_qhadam(nu1=0.5, b1=0.5, b2=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 2.0], [-1.0, 2.0]):  # half of the average, half of the gradient
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [-0.667, 1.0]
    """

    def init(p: Array) -> ScaleByAdamState:
        return ScaleByAdamState(count=0, mu=zeros_like(p, mu_dtype), nu=accumulator_like(p, nu_dtype))

    def update(g: Array, s: ScaleByAdamState, p: Array | None) -> tuple[Array, ScaleByAdamState]:
        square = abs_sq(g)
        mu, nu = ema(g, s.mu, b1), ema(square, s.nu, b2)
        m = ema(g, debias(mu, b1, s.count), nu1)
        v = ema(square, debias(nu, b2, s.count), nu2)
        return m / (sqrt(v) + eps), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(deferred=True, nu1=CLOSED_UNIT, nu2=CLOSED_UNIT)
def qhadam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.995,
    b2: ScalarOrSchedule = 0.999,
    nu1: ScalarOrSchedule = 0.7,
    nu2: ScalarOrSchedule = 1.0,
    eps: ScalarOrSchedule = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """QHAdam: Adam on nu1 m' + (1 - nu1) g and nu2 v' + (1 - nu2) |g|^2.

    Args:
        learning_rate: the authors' default is 1e-3.
        b1, b2, nu1, nu2, eps: see `scale_by_qhadam`.

    State: a chain's: `ScaleByAdamState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Ma and Yarats, 2018, Quasi-hyperbolic momentum and Adam for deep learning, arXiv:1810.06801.

    Example:
        >>> tx, p = gc.qhadam(0.5), jnp.array([0.0, 0.0])
        >>> p, _ = tx.step(jnp.array([-3.0, 0.01]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # at first, as Adam
        [0.5, -0.5]
    """
    return chain(
        scale_by_qhadam(b1, b2, nu1, nu2, eps, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
