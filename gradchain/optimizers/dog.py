"""DoG: the step size is the distance moved over the gradients seen."""

from typing import Literal, NamedTuple

import jax.numpy as jnp

from ..core import POSITIVE, chain, check_numbers, identity, transformation, treewise, widen
from ..core.lists import each, scalar_dtype, sum_sq
from ..core.numerics import copy_of, ratio, sqrt
from ..core.types import Array, MaskOrFn, Numeric, Params, ScalarOrSchedule
from ..transforms import add_decayed_weights, scale_by_learning_rate


class DoGState(NamedTuple):
    """State of `scale_by_dog`."""

    is_init_step: Array  # bool[]  True before the first step
    init_params: Params  # like params; the initial parameters
    max_dist: Array  # f32[] (f64 for f64 params); largest distance from them so far
    sum_sq_norm_grads: Array  # f32[]; sum of squared gradient norms


InitStep = tuple[Literal["distance", "learning_rate", "heuristic"], Numeric]


@transformation
def scale_by_dog(init_step: InitStep = ("heuristic", 1e-6), eps: Numeric = 1e-8):
    """Rescales by the distance moved over the root of the sum of squared gradient norms.

    r = max(r, |p - p_0|);  s = s + |g|^2;  u = r g / sqrt(s + eps), with norms over all parameters.

    Args:
        init_step: the first step, as a pair: ("distance", r) for this r; ("heuristic", a) for
            r = a (1 + |p_0|); ("learning_rate", e) for the step e g. The number is positive. A good r
            is a tenth to a ten-thousandth of the distance to the solution.
        eps: added inside the square root, at least 0.

    State: `DoGState(is_init_step, init_params, max_dist, sum_sq_norm_grads)`. Memory: 1 x the parameters.
    Raises: ValueError for an unknown kind of `init_step`; ValueError if `update` gets no parameters.
    Reference: Ivgi, Hinder and Carmon, 2023, DoG is SGD's Best Friend, arXiv:2302.12022.

    Example:
        >>> tx, p = gc.scale_by_dog(("distance", 0.5)), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, 4.0], [3.0, 4.0]):  # of length r, then r / sqrt(2)
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.3, 0.4]
        [0.212, 0.283]
    """
    kind, first = init_step
    if kind not in ("distance", "learning_rate", "heuristic"):
        raise ValueError(
            "scale_by_dog: the first of init_step must be 'distance', 'learning_rate' or 'heuristic', "
            f"received {kind!r}."
        )
    check_numbers("scale_by_dog", {"init_step[1]": first}, {"init_step[1]": POSITIVE})

    def init(ps: list[Array]) -> DoGState:
        start, dtype = [copy_of(p) for p in ps], scalar_dtype(ps)
        if kind == "heuristic":
            r = first * (1 + sqrt(sum_sq([widen(p) for p in start])))
        else:
            r = first if kind == "distance" else 0.0
        return DoGState(
            is_init_step=jnp.asarray(True),
            init_params=start,
            max_dist=jnp.asarray(r, dtype),
            sum_sq_norm_grads=jnp.zeros([], dtype),
        )

    def update(g: list[Array], s: DoGState, p: list[Array]) -> tuple[list[Array], DoGState]:
        moved = sqrt(sum_sq(each(jnp.subtract, s.init_params, p)))
        r = jnp.maximum(s.max_dist, moved)
        seen = s.sum_sq_norm_grads + sum_sq(g)
        rate = ratio(r, sqrt(seen + eps))
        if kind == "learning_rate":
            rate = jnp.where(s.is_init_step, first, rate)
        new = s._replace(is_init_step=jnp.asarray(False), max_dist=r, sum_sq_norm_grads=seen)
        return each(lambda g: rate * g, g), new

    return treewise(init, update)


@transformation
def dog(
    learning_rate: ScalarOrSchedule = 1.0,
    init_step: InitStep = ("heuristic", 1e-6),
    eps: Numeric = 1e-8,
    weight_decay: ScalarOrSchedule | None = None,
    mask: MaskOrFn = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """DoG: p = p - learning_rate max_i |p_i - p_0| / sqrt(sum_i |g_i|^2 + eps) g. Nothing to tune.

    It works best with an average of the parameters, see `ema`.

    Args:
        learning_rate: a number, an array or a schedule; usually 1.
        init_step, eps: see `scale_by_dog`.
        weight_decay: added to the gradient, see `add_decayed_weights`; None for none.

    State: a chain's: the decay's, `DoGState`, the learning rate's. Memory: 1 x the parameters.
    Reference: Ivgi, Hinder and Carmon, 2023, DoG is SGD's Best Friend, arXiv:2302.12022.

    Example:
        >>> tx, p = gc.dog(init_step=("distance", 0.5)), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # 0.5 (1), then 0.5 / sqrt(2)
        ...     p, state = tx.step(-jnp.ones(1), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [0.5]
        [0.854]
    """
    return chain(
        identity() if weight_decay is None else add_decayed_weights(weight_decay, mask),
        scale_by_dog(init_step, eps),
        scale_by_learning_rate(learning_rate),
    )
