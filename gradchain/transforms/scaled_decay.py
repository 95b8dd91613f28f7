"""Weight decay that follows the learning rate more, or less, than AdamW's."""

from ..core import (
    POSITIVE,
    GradientTransformationExtraArgs,
    Trait,
    init_empty_state,
    leafwise,
    transformation,
)
from ..core.types import Array, EmptyState, Hyperparameter, MaskOrFn, Numeric, ScalarOrSchedule
from .decay import WeightDecaySchedule
from .masking import masked


@transformation
def _corrected_all(weight_decay: Hyperparameter, learning_rate: Hyperparameter, max_learning_rate: Numeric):
    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        return g + weight_decay * (learning_rate / max_learning_rate) * p, s

    return leafwise(
        init_empty_state,
        update,
        name="add_corrected_decay",
        needs_params=True,
        scheduled_state=WeightDecaySchedule,
        traits=[Trait.DECAYS],
    )


@transformation(max_learning_rate=POSITIVE)
def add_corrected_decay(
    weight_decay: ScalarOrSchedule,
    learning_rate: ScalarOrSchedule,
    max_learning_rate: Numeric,
    mask: MaskOrFn = None,
):
    """Weight decay corrected for the schedule of the learning rate: u = g + weight_decay (lr / lr_max) p.

    Put it where `add_decayed_weights` stands, after the rule and before the learning rate. The step is then
    lr u, so the decay goes with the square of the learning rate: layers before a normalization keep the
    ratio of gradient to weights to the end of the run. AdamC is
    `chain(scale_by_adam(), add_corrected_decay(0.1, lr, 3e-4, mask), scale_by_learning_rate(lr))`.

    Args:
        weight_decay: the decay at the largest learning rate.
        learning_rate: lr, the one of the optimizer: a number, an array or a schedule.
        max_learning_rate: lr_max, the largest value that it takes, positive.
        mask: where to decay; the paper corrects the layers that a normalization follows.

    State: `EmptyState`, `WeightDecaySchedule(count)` for a schedule, in a `MaskedState` with a mask.
    Memory: none.
    Raises: ValueError if `update` gets no parameters, or for a largest rate that is not positive.
    Reference: Defazio, 2025, Why Gradients Rapidly Increase Near the End of Training, arXiv:2506.02285.

    Example:
        >>> rate, p = gc.linear_schedule(1.0, 0.0, 4), jnp.array([1.0])
        >>> tx = gc.add_corrected_decay(0.5, rate, max_learning_rate=1.0)
        >>> state = tx.init(p)
        >>> for _ in range(2):  # fades with the schedule
        ...     u, state = tx.update(jnp.zeros(1), state, p)
        ...     print(u.tolist())
        [0.5]
        [0.375]
    """
    decay = _corrected_all(weight_decay, learning_rate, max_learning_rate)
    return decay if mask is None else masked(decay, mask)


@transformation
def _independent_all(
    weight_decay: Hyperparameter, learning_rate: Hyperparameter, max_learning_rate: Numeric
):
    def update(g: Array, s: EmptyState, p: Array) -> tuple[Array, EmptyState]:
        return g - weight_decay * (learning_rate / max_learning_rate) * p, s

    return leafwise(
        init_empty_state,
        update,
        name="add_independent_decay",
        needs_params=True,
        scheduled_state=WeightDecaySchedule,
        traits=[Trait.SHRINKS],
    )


@transformation(max_learning_rate=POSITIVE)
def add_independent_decay(
    weight_decay: ScalarOrSchedule,
    learning_rate: ScalarOrSchedule | None = None,
    max_learning_rate: Numeric | None = None,
    mask: MaskOrFn = None,
):
    """Weight decay that the size of the learning rate does not change: u = g - weight_decay s p.

    s = 1, or lr / lr_max where the two are given: the schedule's shape without its size. Put it last, after
    the learning rate, as in `chain(adam(lr), add_independent_decay(1e-4, lr, 3e-4))`; the best decay then
    stays the same when lr_max is tuned. Before the learning rate it would grow the weights, and a
    chain warns.

    Args:
        weight_decay: the part of each parameter that a step takes off.
        learning_rate: lr, for its shape: a number, an array or a schedule; None for s = 1.
        max_learning_rate: lr_max, the largest value that it takes, positive.
        mask: where to decay.

    State: `EmptyState`, `WeightDecaySchedule(count)` for a schedule, in a `MaskedState` with a mask.
    Memory: none.
    Raises: ValueError if `update` gets no parameters, or for one of lr and lr_max without the other.
    Reference: Wortsman et al., 2023, Small-scale proxies for large-scale Transformer training
        instabilities, arXiv:2309.14322.

    Example:
        >>> tx, p = gc.add_independent_decay(0.25), jnp.array([4.0, -4.0])
        >>> u, state = tx.update(jnp.array([0.0, 0.0]), tx.init(p), p)
        >>> u.tolist()  # as it stands, whatever the learning rate
        [-1.0, 1.0]
    """
    if (learning_rate is None) != (max_learning_rate is None):
        raise ValueError(
            "add_independent_decay: give learning_rate and max_learning_rate together, or neither; "
            f"received learning_rate={learning_rate!r} and max_learning_rate={max_learning_rate!r}."
        )
    if learning_rate is None or max_learning_rate is None:
        learning_rate = max_learning_rate = 1.0
    decay: GradientTransformationExtraArgs = _independent_all(
        weight_decay, learning_rate, max_learning_rate
    )
    return decay if mask is None else masked(decay, mask)
