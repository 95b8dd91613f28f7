"""Weight decay towards the parameters that training began with."""

from typing import NamedTuple

from ..core import Trait, leafwise, transformation
from ..core.numerics import copy_of
from ..core.types import Array, Count, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from .masking import masked


class DecayToStartState(NamedTuple):
    """State of `add_decay_to_start`."""

    count: Count  # i32[]  steps taken, at which a schedule is read
    start: Params  # like params; those given to init


@transformation
def _to_start_all(weight_decay: Hyperparameter):
    def init(p: Array) -> DecayToStartState:
        return DecayToStartState(count=0, start=copy_of(p))

    def update(g: Array, s: DecayToStartState, p: Array) -> tuple[Array, DecayToStartState]:
        return g + weight_decay * (p - s.start), s

    return leafwise(init, update, name="add_decay_to_start", needs_params=True, traits=[Trait.DECAYS])


@transformation
def add_decay_to_start(weight_decay: ScalarOrSchedule, mask: MaskOrFn = None):
    """Weight decay towards the initial parameters p_0 in place of zero: u = g + weight_decay (p - p_0).

    For finetuning: what was learnt before is the origin. First in a chain, before `sgd`, this is the
    penalty weight_decay |p - p_0|^2 / 2 of the paper; after a rule such as Adam's and before the learning
    rate it is the decoupled kind. p_0 are the parameters that `init` gets: call it after loading them.

    Args:
        weight_decay: a number, an array or a schedule.
        mask: where to decay; a new head, which has no past, decays to zero by `add_decayed_weights`.

    State: `DecayToStartState(count, start)`, in a `MaskedState` with a mask.
    Memory: 1 x the parameters that decay.
    Raises: ValueError if `update` gets no parameters.
    Reference: Li, Grandvalet and Davoine, 2018, Explicit Inductive Bias for Transfer Learning with
        Convolutional Networks, arXiv:1802.01483.

    Example:
        >>> tx, p = gc.add_decay_to_start(0.5), jnp.array([2.0, 2.0])
        >>> state = tx.init(p)
        >>> u, state = tx.update(jnp.zeros(2), state, p + jnp.array([0.0, 1.0]))
        >>> u.tolist()  # back to 2 in place of 0
        [0.0, 0.5]
    """
    decay = _to_start_all(weight_decay)
    return decay if mask is None else masked(decay, mask)
