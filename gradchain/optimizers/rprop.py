"""Rprop: a step size for every entry, grown and shrunk by the signs of its gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..core import NON_NEGATIVE, POSITIVE, Trait, chain, leafwise, transformation
from ..core.numerics import full_like, zeros_like
from ..core.types import Array, Numeric, Params
from ..transforms.scaling import scale


class ScaleByRpropState(NamedTuple):
    """State of `scale_by_rprop`."""

    step_sizes: Params  # like params, at least float32; for each entry (for each part of a complex one)
    prev_updates: Params  # like params; the last h, 0 after a change of sign


@transformation(
    learning_rate=NON_NEGATIVE,
    eta_minus=POSITIVE,
    eta_plus=POSITIVE,
    min_step_size=NON_NEGATIVE,
    max_step_size=NON_NEGATIVE,
)
def scale_by_rprop(
    learning_rate: Numeric,
    eta_minus: Numeric = 0.5,
    eta_plus: Numeric = 1.2,
    min_step_size: Numeric = 1e-6,
    max_step_size: Numeric = 50.0,
    *,
    delayed: bool = True,
):
    """Steps by the sign of the gradient, with a size that adapts to how often the sign changes.

    Same sign as at the last step: d = min(d eta_plus, max_step_size) and h = d sign(g). Other sign:
    d = max(d eta_minus, min_step_size) and h = 0, and the next step counts as a first one. First step:
    h = d sign(g). The update is the h of the step before (0 if the sign changed), as in Optax; with
    `delayed=False` it is h itself, as in the paper and in PyTorch.

    Args:
        learning_rate: the first step size d, at least 0.
        eta_minus: factor of d after a change of sign, in (0, 1).
        eta_plus: factor of d if the sign is the same, at least 1.
        min_step_size, max_step_size: bounds of d, at least 0.
        delayed: True takes each step one step late, as in Optax.

    State: `ScaleByRpropState(step_sizes, prev_updates)`. Memory: 2 x the parameters.
    Reference: Riedmiller and Braun, 1993, A Direct Adaptive Method for Faster Backpropagation
        Learning: The RPROP Algorithm.

    Example:
        >>> tx = gc.scale_by_rprop(0.5, eta_plus=2.0)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (9.0, 0.1, 0.1):  # each update is that of the gradient before
        ...     u, state = tx.update(jnp.array([g]), state)
        ...     print(u.tolist())
        [0.0]
        [0.5]
        [1.0]
    """

    def init(p: Array) -> ScaleByRpropState:
        sizes, last = full_like(p, learning_rate), zeros_like(p)
        return ScaleByRpropState(
            step_sizes=jax.lax.complex(sizes, sizes) if jnp.iscomplexobj(last) else sizes, prev_updates=last
        )

    def real_step(g: Array, size: Array, last: Array) -> tuple[Array, Array, Array]:
        sign = jnp.sign(g) * jnp.sign(last)  # the product of g and last could underflow
        adapted = jnp.clip(size * jnp.where(sign > 0, eta_plus, eta_minus), min_step_size, max_step_size)
        size = jnp.where(sign == 0, size, adapted)
        step = jnp.where(sign < 0, 0, size * jnp.sign(g))
        return jnp.where(sign < 0, 0, last) if delayed else step, size, step

    def update(g: Array, s: ScaleByRpropState, p: Array | None) -> tuple[Array, ScaleByRpropState]:
        if not jnp.iscomplexobj(g):
            u, sizes, last = real_step(g, s.step_sizes, s.prev_updates)
        else:
            arrays = g, s.step_sizes, s.prev_updates
            parts = [real_step(*map(part, arrays)) for part in (jnp.real, jnp.imag)]
            u, sizes, last = (jax.lax.complex(*pair) for pair in zip(*parts, strict=True))
        return u, s._replace(step_sizes=sizes, prev_updates=last)

    return leafwise(init, update, traits=[Trait.RESCALES])


@transformation(
    deferred=True,
    learning_rate=NON_NEGATIVE,
    eta_minus=POSITIVE,
    eta_plus=POSITIVE,
    min_step_size=NON_NEGATIVE,
    max_step_size=NON_NEGATIVE,
)
def rprop(
    learning_rate: Numeric,
    eta_minus: Numeric = 0.5,
    eta_plus: Numeric = 1.2,
    min_step_size: Numeric = 1e-6,
    max_step_size: Numeric = 50.0,
    *,
    delayed: bool = True,
):
    """Rprop, for gradients without noise: p = p - d sign(g), with a step size d for each entry.

    d grows while the sign of the gradient stays the same, and shrinks when it changes. The size of the
    gradient has no effect, so there is no weight decay.

    Args:
        learning_rate, eta_minus, eta_plus, min_step_size, max_step_size, delayed: see `scale_by_rprop`.

    State: a chain's: `ScaleByRpropState`, `EmptyState`. Memory: 2 x the parameters.
    Reference: Riedmiller and Braun, 1993, A Direct Adaptive Method for Faster Backpropagation
        Learning: The RPROP Algorithm; Igel and Huesken, 2003, Empirical Evaluation of the Improved
        Rprop Learning Algorithms (this variant, iRprop-).

    Example:
        >>> tx, p = gc.rprop(0.5, eta_plus=2.0, delayed=False), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-9.0, -0.1, 1.0):  # 0.5, then 1; no step where the sign changes
        ...     p, state = tx.step(jnp.array([g]), state, p)
        ...     print(p.tolist())
        [0.5]
        [1.5]
        [1.5]
    """
    return chain(
        scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size, delayed=delayed),
        scale(-1.0),
    )
