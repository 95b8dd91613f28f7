"""AdaBelief: steps as large as the gradient is predictable."""

import jax

from ..core import Trait, chain, compute_dtype, dtype_of, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, one_minus, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms.belief_state import ScaleByBeliefState
from ..transforms.decay import decoupled
from ..transforms.scaling import scale_by_learning_rate


@transformation
def scale_by_belief(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
    eps_root: Hyperparameter = 1e-16,
    *,
    nesterov: bool = False,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales the averaged gradient by how far gradients lie from it.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g - m|^2 + eps_root;  u = m' / (sqrt(v') + eps), where
    m' = m / (1 - b1^t), v' = v / (1 - b2^t) and t counts from 1. With `nesterov`,
    m' = b1 m / (1 - b1^{t+1}) + (1 - b1) g / (1 - b1^t).

    Args:
        eps_root: added to v at every step, at least 0.
        mu_dtype: dtype of the first moment, by default at least float32: the difference g - m of two
            nearly equal numbers has no digits in bfloat16.

    State: `ScaleByBeliefState(count, mu, nu)`. Memory: 2 x the parameters.
    Reference: Zhuang et al., 2020, AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed
        Gradients, arXiv:2010.07468.
    """

    def init(p: Array) -> ScaleByBeliefState:
        return ScaleByBeliefState(
            count=0,
            mu=zeros_like(p, mu_dtype or compute_dtype(dtype_of(p))),
            nu=accumulator_like(p, nu_dtype),
        )

    def update(g: Array, s: ScaleByBeliefState, p: Array | None) -> tuple[Array, ScaleByBeliefState]:
        mu = ema(g, s.mu, b1)
        nu = ema(abs_sq(g - mu), s.nu, b2) + eps_root
        if nesterov:
            m = b1 * debias(mu, b1, s.count + 1) + one_minus(b1) * debias(g, b1, s.count)
        else:
            m = debias(mu, b1, s.count)
        root = sqrt(debias(nu, b2, s.count)) + eps
        return m / jax.numpy.where(root > 0, root, 1), s._replace(mu=mu, nu=nu)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation
def adabelief(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    *,
    nesterov: bool = False,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """AdaBelief: Adam with the variance around the averaged gradient in place of the mean square.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g - m|^2 + eps_root;
    p = p - learning_rate m' / (sqrt(v') + eps), with m' and v' debiased.

    Args:
        b1, b2, eps, eps_root, nesterov, mu_dtype, nu_dtype: see `scale_by_belief`.

    State: a chain's: `ScaleByBeliefState(count, mu, nu)`, then the learning rate's.
    Memory: 2 x the parameters.
    Reference: Zhuang et al., 2020, AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed
        Gradients, arXiv:2010.07468.
    """
    return chain(
        scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
