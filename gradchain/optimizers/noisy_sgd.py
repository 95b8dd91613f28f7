"""Gradient descent with noise that fades."""

from ..core import FINITE, NON_NEGATIVE, chain, transformation
from ..core.types import AddedNumber, Array, MaskOrFn, ScalarOrSchedule
from ..transforms import add_noise, scale_by_learning_rate
from ..transforms.decay import decoupled


@transformation(eta=NON_NEGATIVE, gamma=FINITE)
def noisy_sgd(
    learning_rate: ScalarOrSchedule,
    eta: ScalarOrSchedule = 0.01,
    gamma: ScalarOrSchedule = 0.55,
    key: int | Array | None = None,
    *,
    seed: int | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Noisy gradient descent: p = p - learning_rate (g + N(0, eta / t^gamma)), with t from 1.

    Args:
        eta, gamma, key, seed: see `add_noise`.

    State: a chain's: `AddNoiseState(count, rng_key)`, then the learning rate's. Memory: none.
    Reference: Neelakantan et al., 2015, Adding Gradient Noise Improves Learning for Very Deep
        Networks, arXiv:1511.06807.

    Example:
        >>> tx, p = gc.noisy_sgd(0.5, eta=0.01, key=0), jnp.zeros(1000)
        >>> p, _ = tx.step(p, tx.init(p), p)
        >>> round(float(p.std()), 2)  # 0.5 times the root of 0.01
        0.05
    """
    return chain(
        add_noise(eta, gamma, key, seed=seed),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
