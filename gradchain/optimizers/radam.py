"""RAdam: Adam that uses its second moment only after enough steps."""

from ..core import FINITE, chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decoupled
from ..transforms.scale_by_radam import scale_by_radam


@transformation(deferred=True, threshold=FINITE)
def radam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    threshold: ScalarOrSchedule = 5.0,
    *,
    nesterov: bool = False,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """RAdam: momentum first, then Adam with a rectified step, so that it needs no warmup.

    p = p - learning_rate r m' / (sqrt(v' + eps_root) + eps), or learning_rate m' in the first steps, see
    `scale_by_radam`.

    Args:
        threshold, nesterov: see `scale_by_radam`.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the learning rate's. Memory: 2 x the parameters.
    Reference: Liu et al., 2019, On the Variance of the Adaptive Learning Rate and Beyond,
        arXiv:1908.03265.

    Example:
        >>> tx, p = gc.radam(0.25), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, -0.5], [4.0, -0.5]):  # the first steps are momentum's: 0.25 g
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-1.0, 0.125]
        [-2.0, 0.25]
    """
    return chain(
        scale_by_radam(
            b1, b2, eps, eps_root, threshold, nesterov=nesterov, mu_dtype=mu_dtype, nu_dtype=nu_dtype
        ),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
