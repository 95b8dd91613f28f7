"""ASGD: SGD that also averages its parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import FINITE, NON_NEGATIVE, cast, chain, compute_dtype, dtype_of, leafwise, transformation
from ..core.numerics import copy_of
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    Hyperparameter,
    MaskOrFn,
    Numeric,
    Params,
    ScalarOrSchedule,
)
from ..transforms import add_decayed_weights
from ..transforms.masking import MaskedNode


class AsgdState(NamedTuple):
    """State of `asgd`."""

    count: Count  # i32[]  steps taken
    ax: Params  # like params, at least float32; the average

    def eval_params(self, params: Params) -> Params:
        """The averaged parameters: evaluate these."""

        def average(ax: Any, p: Any) -> Any:
            return p if isinstance(ax, MaskedNode) else cast(ax, dtype_of(p))

        return jax.tree.map(average, self.ax, params, is_leaf=lambda ax: isinstance(ax, MaskedNode))


@transformation(learning_rate=FINITE, lambd=FINITE, alpha=FINITE, t0=NON_NEGATIVE)
def _averaged_descent(
    learning_rate: Hyperparameter, lambd: Hyperparameter, alpha: Hyperparameter, t0: Hyperparameter
):
    """The step of ASGD, sign and learning rate included."""

    def init(p: Array) -> AsgdState:
        return AsgdState(count=0, ax=copy_of(p, compute_dtype(dtype_of(p))))

    def update(g: Array, s: AsgdState, p: Array) -> tuple[Array, AsgdState]:
        before = s.count - 1
        rate = learning_rate / (1 + lambd * learning_rate * before) ** alpha
        u = -rate * (g + lambd * p)
        ax = s.ax + (p + u - s.ax) / jnp.maximum(1, before - t0)
        return u, s._replace(ax=ax)

    return leafwise(init, update, name="asgd", needs_params=True)


@transformation(lambd=FINITE, alpha=FINITE, t0=NON_NEGATIVE)
def asgd(
    learning_rate: ScalarOrSchedule = 1e-2,
    lambd: Numeric = 1e-4,
    alpha: Numeric = 0.75,
    t0: Numeric = 1e6,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
):
    """ASGD: r = learning_rate / (1 + lambd learning_rate t)^alpha;  p = p - r (g + lambd p), averaged.

    t counts the steps before this one. ax = ax + (p - ax) / max(1, t - t0) is the average of the parameters
    from step t0 on; `eval_params` gives it. The defaults are PyTorch's, with which nothing is averaged in
    the first million steps.

    Args:
        learning_rate: the first rate.
        lambd: how fast the rate falls, and a decay of the parameters.
        alpha: the power with which the rate falls.
        t0: the step from which on the average counts, at least 0.
        weight_decay: added to the gradient (an L2 penalty), see `add_decayed_weights`.

    State: `AsgdState(count, ax)`, in a chain's. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Polyak and Juditsky, 1992, Acceleration of Stochastic Approximation by Averaging.

    Example:
        >>> tx, p = gc.asgd(1.0, lambd=0.0, t0=0.0), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -2.0, -2.0):  # to 1, 3 and 5; the first is soon forgotten
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist(), gc.eval_params(state, p).tolist())
        [1.0] [1.0]
        [3.0] [3.0]
        [5.0] [4.0]
    """
    rule = _averaged_descent(learning_rate, lambd, alpha, t0)
    return chain(add_decayed_weights(weight_decay, weight_decay_mask), rule)
