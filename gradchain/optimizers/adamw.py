"""AdamW: Adam with decoupled weight decay."""

from ..core import chain, transformation
from ..core.types import DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_adam, scale_by_learning_rate


@transformation(deferred=True)
def adamw(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
    *,
    nesterov: bool = False,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """AdamW: p = p - learning_rate (m' / (sqrt(v' + eps_root) + eps) + weight_decay p).

    m' and v' are Adam's debiased moments, see `scale_by_adam`.

    State: a chain's: `ScaleByAdamState`, the decay's, the learning rate's. Memory: 2 x the parameters.
    Reference: Loshchilov and Hutter, 2017, Decoupled Weight Decay Regularization, arXiv:1711.05101.

    Example:
        >>> tx, p = gc.adamw(0.5, weight_decay=0.25), jnp.array([4.0, 4.0])
        >>> p, _ = tx.step(jnp.array([0.0, 8.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # 4 - 0.5 (0 + 1), 4 - 0.5 (1 + 1)
        [3.5, 3.0]
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
