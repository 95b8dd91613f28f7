"""Lion: the sign of an average."""

from typing import Literal, NamedTuple

import jax.numpy as jnp

from ..core import FINITE, Array, Trait, chain, leafwise, transformation
from ..core.numerics import ema, zeros_like
from ..core.types import AddedNumber, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class ScaleByLionState(NamedTuple):
    """State of `scale_by_lion`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients


def _bounded(x: Array, mode: str, beta: Hyperparameter) -> Array:
    """`x` with |x| limited to [0, 1]."""
    if mode == "hard":
        return jnp.sign(x)
    if mode == "smooth":
        return jnp.sign(x) * jnp.tanh(beta * jnp.abs(x)) if jnp.iscomplexobj(x) else jnp.tanh(beta * x)
    return jnp.where(jnp.abs(x) < 1, x, jnp.sign(x))


@transformation(smooth_beta=FINITE)
def scale_by_lion(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.99,
    mu_dtype: DTypeLike | None = None,
    *,
    mode: Literal["hard", "smooth", "refined"] = "hard",
    smooth_beta: Hyperparameter = 1.0,
):
    """The sign of a mean of the gradient and its moving average.

    x = b1 m + (1 - b1) g;  u = sign(x);  m = b2 m + (1 - b2) g.

    Args:
        b1: weight of the average in the step, in [0, 1).
        b2: decay of the average, in [0, 1).
        mode: "hard", or "smooth" for u = tanh(smooth_beta x), or "refined" for u = x where |x| < 1.
            A complex number keeps its direction, and the mode applies to |x|.
        smooth_beta: steepness of the smooth step.

    State: `ScaleByLionState(count, mu)`. Memory: 1 x the parameters.
    Raises: ValueError for another `mode`.
    Reference: Chen et al., 2023, Symbolic Discovery of Optimization Algorithms, arXiv:2302.06675.

    Example:
        >>> tx, p = gc.scale_by_lion(b1=0.5, b2=0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([4.0, 1.0], [-1.0, -1.0]):  # signs of 2 - 0.5 and of 0.25 - 0.5
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print(u.tolist())
        [1.0, 1.0]
        [1.0, -1.0]
    """
    if mode not in ("hard", "smooth", "refined"):
        raise ValueError(f"scale_by_lion: mode must be 'hard', 'smooth' or 'refined', received {mode!r}.")

    def init(p: Array) -> ScaleByLionState:
        return ScaleByLionState(count=0, mu=zeros_like(p, mu_dtype))

    def update(g: Array, s: ScaleByLionState, p: Array | None) -> tuple[Array, ScaleByLionState]:
        return _bounded(ema(g, s.mu, b1), mode, smooth_beta), s._replace(mu=ema(g, s.mu, b2))

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(smooth_beta=FINITE)
def lion(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.99,
    mu_dtype: DTypeLike | None = None,
    weight_decay: ScalarOrSchedule = 1e-3,
    mask: MaskOrFn = None,
    *,
    mode: Literal["hard", "smooth", "refined"] = "hard",
    smooth_beta: AddedNumber = 1.0,
    weight_decay_mask: MaskOrFn = None,
):
    """Lion: p = p - learning_rate (sign(b1 m + (1 - b1) g) + weight_decay p);  m = b2 m + (1 - b2) g.

    Every entry moves by the same length, so the learning rate is usually 3 to 10 times smaller than
    Adam's, and the weight decay 3 to 10 times larger.

    Args:
        b1, b2, mode, smooth_beta: see `scale_by_lion`.

    State: a chain's: `ScaleByLionState`, the decay's, the learning rate's. Memory: 1 x the parameters.
    Reference: Chen et al., 2023, Symbolic Discovery of Optimization Algorithms, arXiv:2302.06675.

    Example:
        >>> tx, p = gc.lion(0.25, weight_decay=0.0), jnp.array([1.0, 1.0])
        >>> p, state = tx.step(jnp.array([3.0, -0.01]), tx.init(p), p)
        >>> p.tolist()  # every entry moves by the rate
        [0.75, 1.25]
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype, mode=mode, smooth_beta=smooth_beta),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
