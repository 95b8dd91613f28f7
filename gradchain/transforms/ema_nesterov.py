"""Gradients taken ahead, along the average of the last steps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    POSITIVE,
    cast,
    compute_dtype,
    dtype_of,
    relaxed_promotion,
    transformation,
    treewise,
    widen,
)
from ..core.lists import each_of
from ..core.numerics import ema, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, Numeric, Params, Schedule
from .masking import MaskedNode


class EmaNesterovState(NamedTuple):
    """State of `ema_nesterov`."""

    count: Count  # i32[]  steps taken
    reach: Array  # f32[]  how far ahead the parameters are, in multiples of `trace`
    trace: Params  # like params, at least float32, or accumulator_dtype; average of the steps

    def eval_params(self, params: Params) -> Params:
        """The parameters without the look ahead: evaluate and keep these."""

        def back(v: Any, y: Any) -> Any:
            if isinstance(v, MaskedNode):
                return y
            with relaxed_promotion():
                return cast(widen(y) - self.reach * widen(v), dtype_of(y))

        return jax.tree.map(back, self.trace, params, is_leaf=lambda x: isinstance(x, MaskedNode))


@transformation(max_learning_rate=POSITIVE)
def ema_nesterov(
    beta: Hyperparameter = 0.5,
    decay: Hyperparameter = 0.99,
    learning_rate: Schedule | None = None,
    max_learning_rate: Numeric | None = None,
    accumulator_dtype: DTypeLike | None = None,
):
    """Takes each gradient ahead, along a long average of the steps: Nesterov around an optimizer.

    x = x + u;  v = decay v + (1 - decay) u;  y = x + beta (lr / lr_max) v, with lr of the coming step.

    The parameters are y, where the gradient is taken; `eval_params(state, params)` gives x. Put it after
    all that changes the steps: `chain(muon(lr), ema_nesterov(learning_rate=lr, max_learning_rate=0.02))`.
    Averages of the parameters come after it; they are of y.

    Args:
        beta: how far ahead; 0.3 to 0.6 in the records of modded-nanogpt.
        decay: of the average of the steps, in [0, 1].
        learning_rate: lr, a schedule, read one step ahead; None has lr / lr_max = 1.
        max_learning_rate: lr_max, the largest value that it takes, positive.
        accumulator_dtype: dtype of v, by default the parameter's, but at least float32.

    State: `EmaNesterovState(count, reach, trace)`. Memory: 1 x the parameters.
    Raises: ValueError for one of lr and lr_max without the other; TypeError for an lr that is no schedule.
    Reference: Jordan et al., 2024, modded-nanogpt: Speedrunning the NanoGPT baseline.

    Example:
        >>> tx = gc.chain(gc.sgd(1.0), gc.ema_nesterov(beta=0.5, decay=0.5))
        >>> p = jnp.array([0.0])
        >>> p, state = tx.step(jnp.array([-1.0]), tx.init(p), p)
        >>> p.tolist(), gc.eval_params(state, p).tolist()  # y is ahead of x by beta v, v = 1 / 2
        ([1.25], [1.0])
    """
    if (learning_rate is None) != (max_learning_rate is None):
        raise ValueError(
            "ema_nesterov: give learning_rate and max_learning_rate together, or neither; received "
            f"learning_rate={learning_rate!r} and max_learning_rate={max_learning_rate!r}."
        )
    if learning_rate is not None and not callable(learning_rate):
        raise TypeError(
            f"ema_nesterov: learning_rate must be a schedule, received {learning_rate!r}. Leave it out "
            "where it does not change, and give its share in beta."
        )

    def init(ps: list[Array]) -> EmaNesterovState:
        return EmaNesterovState(
            count=0,
            reach=jnp.zeros([], jnp.float32),
            trace=[zeros_like(p, accumulator_dtype or compute_dtype(dtype_of(p))) for p in ps],
        )

    def update(
        us: list[Array], s: EmaNesterovState, ps: list[Array]
    ) -> tuple[list[Array], EmaNesterovState]:
        reach = beta
        if learning_rate is not None and max_learning_rate is not None:
            reach = beta * (learning_rate(s.count) / max_learning_rate)

        def leaf(u: Array, v: Array) -> tuple[Array, Array]:
            new = ema(u, v, decay)
            return u + reach * new - s.reach * v, new

        us, trace = each_of(2, leaf, us, s.trace)
        return us, s._replace(reach=jnp.asarray(reach, jnp.float32), trace=trace)

    return treewise(init, update, needs_params=False)
