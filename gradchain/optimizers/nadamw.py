"""NAdamW: NAdam with decoupled weight decay."""

from ..core import chain, transformation
from ..core.types import DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_adam, scale_by_learning_rate


@transformation(deferred=True)
def nadamw(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
    *,
    nesterov: bool = True,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """NAdamW: p = p - learning_rate (m' / (sqrt(v' + eps_root) + eps) + weight_decay p).

    v' is Adam's debiased second moment and m' its first with Nesterov's look ahead,
    m' = b1 m / (1 - b1^{t+1}) + (1 - b1) g / (1 - b1^t), see `scale_by_adam`.

    State: a chain's: `ScaleByAdamState`, the decay's, the learning rate's. Memory: 2 x the parameters.
    Reference: Dozat, 2016, Incorporating Nesterov Momentum into Adam, ICLR Workshop; Loshchilov and
        Hutter, 2017, Decoupled Weight Decay Regularization, arXiv:1711.05101.

    Example:
        >>> tx, p = gc.nadamw(0.5, b1=0.5, weight_decay=0.25), jnp.array([0.0, 4.0])
        >>> p, _ = tx.step(jnp.array([-4.0, 0.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # 0.5 (1/3 + 1), and 4 - 0.5 (0.25 4)
        [0.667, 3.5]
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
