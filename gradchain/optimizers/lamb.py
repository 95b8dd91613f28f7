"""LAMB: Adam with steps proportional to each array, for very large batches."""

from ..core import chain, transformation
from ..core.types import DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_adam, scale_by_learning_rate, scale_by_trust_ratio


@transformation(deferred=True)
def lamb(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-6,
    eps_root: ScalarOrSchedule = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """LAMB: p = p - learning_rate r |p| / |r|, with r = m' / (sqrt(v' + eps_root) + eps) + weight_decay p.

    m' and v' are Adam's debiased moments, the norms are those of each array, see
    `scale_by_trust_ratio`.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the decay's, the ratio's, the learning rate's.
    Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: You et al., 2019, Large Batch Optimization for Deep Learning: Training BERT in 76
        minutes, arXiv:1904.00962.

    Example:
        >>> tx, p = gc.lamb(0.1), jnp.array([3.0, 4.0])
        >>> p, state = tx.step(jnp.array([7.0, 7.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # a tenth of |p| = 5, in equal entries
        [2.646, 3.646]
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )
