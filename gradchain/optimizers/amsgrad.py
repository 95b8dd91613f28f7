"""AMSGrad: Adam whose second moment never shrinks."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import Array, Trait, chain, leafwise, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, sqrt, zeros_like
from ..core.types import AddedNumber, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms.decay import decoupled
from ..transforms.scaling import scale_by_learning_rate


class ScaleByAmsgradState(NamedTuple):
    """State of `scale_by_amsgrad`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; first moment
    nu: Params  # like |params|, at least float32, or nu_dtype; second moment
    nu_max: Params  # like nu; its largest value so far


@transformation
def scale_by_amsgrad(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
    *,
    correct_after_max: bool = False,
    nu_dtype: DTypeLike | None = None,
):
    """Rescales by Adam's first moment over the root of the largest second moment so far.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g|^2;  w = max(w, v');
    u = m' / (sqrt(w + eps_root) + eps), with m' = m / (1 - b1^t) and v' = v / (1 - b2^t).

    Args:
        bias_correction_mu, bias_correction_nu: False uses m for m', v for v'.
        correct_after_max: True has w = max(w, v), and u has w / (1 - b2^t), as in PyTorch.

    State: `ScaleByAmsgradState(count, mu, nu, nu_max)`. Memory: 3 x the parameters.
    Reference: Reddi, Kale and Kumar, 2018, On the Convergence of Adam and Beyond, arXiv:1904.09237.

    Example:
        >>> tx, p = gc.scale_by_amsgrad(b1=0.0, b2=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, 1.0], [1.0, 1.0]):  # by the largest so far
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [0.25, 1.0]
    """

    def init(p: Array) -> ScaleByAmsgradState:
        return ScaleByAmsgradState(
            count=0,
            mu=zeros_like(p, mu_dtype),
            nu=accumulator_like(p, nu_dtype),
            nu_max=accumulator_like(p, nu_dtype),
        )

    def update(g: Array, s: ScaleByAmsgradState, p: Array | None) -> tuple[Array, ScaleByAmsgradState]:
        mu, nu = ema(g, s.mu, b1), ema(abs_sq(g), s.nu, b2)
        m = debias(mu, b1, s.count) if bias_correction_mu else mu
        if bias_correction_nu and not correct_after_max:
            v = nu_max = jnp.maximum(s.nu_max, debias(nu, b2, s.count))
        else:
            nu_max = jnp.maximum(s.nu_max, nu)
            v = debias(nu_max, b2, s.count) if bias_correction_nu else nu_max
        return m / (sqrt(v + eps_root) + eps), s._replace(mu=mu, nu=nu, nu_max=nu_max)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation
def amsgrad(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
    *,
    correct_after_max: bool = False,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """AMSGrad: p = p - learning_rate m' / (sqrt(w + eps_root) + eps), with w = max(w, v').

    m' and v' are Adam's debiased moments, see `scale_by_amsgrad`.

    Args:
        bias_correction_mu, bias_correction_nu, correct_after_max: see `scale_by_amsgrad`.

    State: a chain's: `ScaleByAmsgradState`, then the learning rate's. Memory: 3 x the parameters.
    Reference: Reddi, Kale and Kumar, 2018, On the Convergence of Adam and Beyond, arXiv:1904.09237.

    Example:
        >>> tx, p = gc.amsgrad(1.0, b1=0.0, b2=0.0), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-4.0, -1.0):  # 1, then 1 / 4: the largest square counts
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [1.0]
        [1.25]
    """
    settings = (b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu)
    return chain(
        scale_by_amsgrad(*settings, correct_after_max=correct_after_max, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
