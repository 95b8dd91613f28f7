"""MeZO: fine-tuning in the memory of inference."""

from ..core import POSITIVE, chain, transformation
from ..core.types import AddedNumber, Array, MaskOrFn, ScalarOrSchedule
from ..transforms import scale_by_learning_rate, scale_by_spsa
from ..transforms.decay import decoupled


@transformation(eps=POSITIVE)
def mezo(
    learning_rate: ScalarOrSchedule,
    eps: ScalarOrSchedule = 1e-3,
    samples: int = 1,
    key: int | Array = 0,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """MeZO: p = p - learning_rate (u + weight_decay p), with u = (f(p + eps z) - f(p - eps z)) / (2 eps) z.

    z is normal noise, drawn again wherever it is used: no gradient, no activations and no noise are kept.
    `update` needs the extra argument `value_fn`, the loss as a function of the parameters, and reads no
    gradients: give the parameters in their place, `tx.step(params, state, params, value_fn=loss)`.

    Args:
        learning_rate: 1e-6 is usual for large models: u is as long as the gradient times the square root of
            the number of parameters.
        eps: how far to look, more than 0.
        samples, key: see `scale_by_spsa`.

    In bfloat16, parameters and eps z may be too close for 1e-3: then take a larger eps.
    State: a chain's: `ScaleBySpsaState`, the learning rate's.
    Memory: none; a compiled step needs one moved copy of the parameters beside what the loss itself needs.
    Raises: what `scale_by_spsa` raises.
    Reference: Malladi et al., 2023, Fine-Tuning Language Models with Just Forward Passes, arXiv:2305.17333.

    Example:
        >>> tx, p = gc.mezo(0.25, eps=0.5), jnp.array([3.0])
        >>> q, _ = tx.step(p, tx.init(p), p, value_fn=lambda p: 2.0 * p[0])
        >>> bool(q[0] < p[0])  # u = 2 z^2, from two losses and no gradient
        True
    """
    return chain(
        scale_by_spsa(eps, "normal", samples, key),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
