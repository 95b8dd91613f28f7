"""AdaMaxW: AdaMax with decoupled weight decay."""

from typing import Any

from ..core import GradientTransformationExtraArgs, MaskOrFn, ScalarOrSchedule, chain, transformation
from ..transforms.decay import add_decayed_weights
from ..transforms.scale_by_adamax import scale_by_adamax
from ..transforms.scaling import scale_by_learning_rate


@transformation
def adamaxw(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
    *,
    mu_dtype: Any = None,
    nu_dtype: Any = None,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """AdaMaxW: p = p - learning_rate (m' / v + weight_decay p), with m' and v as in `adamax`.

    Args:
        learning_rate: a number, an array or a schedule.
        b1, b2, eps, mu_dtype, nu_dtype: see `scale_by_adamax`.
        weight_decay: a number, an array or a schedule; it is multiplied by the learning rate.
        mask: where to decay, see `add_decayed_weights`.
        weight_decay_mask: the same, under the name it has in other optimizers.

    State: a chain's: `ScaleByAdamState(count, mu, nu)`, the decay's, the learning rate's.
    Memory: 2 x the parameters.
    Reference: Loshchilov and Hutter, 2017, Decoupled Weight Decay Regularization, arXiv:1711.05101;
        Kingma and Ba, 2014, section 7.1, arXiv:1412.6980.
    """
    return chain(
        scale_by_adamax(b1, b2, eps, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
