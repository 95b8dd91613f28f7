"""Weight decay only where the step goes the same way."""

import jax.numpy as jnp

from ..core import Trait, init_empty_state, leafwise, transformation
from ..core.types import Array, EmptyState, Hyperparameter, MaskOrFn, ScalarOrSchedule
from .decay import WeightDecaySchedule
from .masking import masked


@transformation
def _cautious_all(weight_decay: Hyperparameter, strict: bool):
    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        agreement = jnp.real(jnp.conj(g) * p)
        keep = agreement > 0 if strict else agreement >= 0
        return jnp.where(keep, g + weight_decay * p, g), s

    return leafwise(
        init_empty_state,
        update,
        name="add_cautious_decay",
        needs_params=True,
        scheduled_state=WeightDecaySchedule,
        traits=[Trait.DECAYS],
    )


@transformation
def add_cautious_decay(weight_decay: ScalarOrSchedule, mask: MaskOrFn = None, strict: bool = False):
    """Weight decay of the entries that the step makes smaller anyway.

    u = g + weight_decay p where g p >= 0, and g elsewhere: decay never acts against the optimizer, and
    does not move the minimum. Put it where `add_decayed_weights` stands, after the rule, whose direction g
    it reads, and before the learning rate:
    `chain(scale_by_adam(), add_cautious_decay(0.1), scale_by_learning_rate(3e-4))`.

    Args:
        weight_decay: a number, an array or a schedule.
        mask: where to decay: a tree of booleans, or a function from the parameters to one.
        strict: True leaves out entries whose direction is 0, such as rows of an embedding that a batch
            does not use; the paper decays them.

    Complex numbers: by the sign of the real part of conj(g) p.
    State: `EmptyState`, `WeightDecaySchedule(count)` for a schedule, in a `MaskedState` with a mask.
    Memory: none.
    Raises: ValueError if `update` gets no parameters.
    Reference: Chen et al., 2025, Cautious Weight Decay, arXiv:2510.12402.

    Example:
        >>> tx, p = gc.add_cautious_decay(0.5), jnp.array([2.0, 2.0])
        >>> u, state = tx.update(jnp.array([1.0, -1.0]), tx.init(p), p)
        >>> u.tolist()  # the second entry's step lengthens it
        [2.0, -1.0]
    """
    decay = _cautious_all(weight_decay, strict)
    return decay if mask is None else masked(decay, mask)
