"""AdaGC: clipping each array against the norms that it has had."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..core import NON_NEGATIVE, POSITIVE, UNIT, Trait, cast, transformation, treewise
from ..core.lists import each, each_of
from ..core.norms import norm_in_one_pass, norms
from ..core.numerics import accumulator_like, ema
from ..core.types import Array, Count, Numeric, Params


class AdaGCState(NamedTuple):
    """State of `adagc`. The last two have one number for each array."""

    count: Count  # i32[]  steps taken
    mean_norm: Params  # f32[]; what the norm is compared with; 0 before the first
    factor: Params  # f32[]; what the last gradient was multiplied by

    @property
    def measured(self) -> dict[str, Array]:
        """What `measurements` finds here: the smallest factor of all arrays."""
        factors = [cast(jnp.asarray(x), jnp.float32) for x in jax.tree.leaves(self.factor)]
        return {"adagc_factor": functools.reduce(jnp.minimum, factors, jnp.ones([], jnp.float32))}


@transformation(beta=UNIT, lambda_abs=POSITIVE, lambda_rel=POSITIVE, warmup_steps=NON_NEGATIVE)
def adagc(
    beta: Numeric = 0.98, lambda_abs: Numeric = 1.0, lambda_rel: Numeric = 1.05, warmup_steps: Numeric = 100
):
    """Shrinks each array's gradient to at most lambda_rel times the average of its own norms.

    u = h g, gamma = beta gamma + (1 - beta) |u|, with h = min(1, lambda_rel gamma / |g|), for each array;
    before step warmup_steps h = min(1, lambda_abs / |all g|), the same for all, and gamma is the least |u|.

    As gamma is of clipped norms, it grows by a share of at most (1 - beta) (lambda_rel - 1) a step.
    Unlike in the paper, a gradient of zeros does not enter gamma, which could never leave 0 again, nor
    does one with a NaN or an infinity, which passes unchanged. Without a gamma, an array is clipped as in
    the warm-up.

    Args:
        beta: decay of the average, in [0, 1).
        lambda_abs: the largest global norm in the warm-up.
        lambda_rel: the largest norm relative to the average.
        warmup_steps: the step, counted from 1, at which comparison begins.

    State: `AdaGCState(count, mean_norm, factor)`; `measured`: adagc_factor, the smallest of the arrays'.
        Inside `with_global_norm`, |all g| is the norm that the wrapper computed.
    Memory: two numbers for each array.
    Reference: Wang et al., 2025, AdaGC: Improving Training Stability for Large Language Model Pretraining,
        arXiv:2502.11034.

    Example:
        >>> tx = gc.adagc(warmup_steps=1, lambda_rel=1.0)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (0.5, 100.0):  # the spike is cut to the average of the norms before
        ...     u, state = tx.update(jnp.array([g]), state)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.5]
        [0.5]
    """

    def init(ps: list[Array]) -> AdaGCState:
        zero = [jnp.sum(accumulator_like(p)) for p in ps]
        return AdaGCState(count=0, mean_norm=zero, factor=[jnp.ones_like(x) for x in zero])

    def update(
        g: list[Array], s: AdaGCState, p: list[Array], *, global_norm: Array | None = None
    ) -> tuple[list[Array], AdaGCState]:
        if not g:
            return g, s
        sizes = each(norm_in_one_pass, g)
        whole = norms(sizes) if global_norm is None else global_norm

        def leaf(g: Array, n: Array, gamma: Array) -> tuple[Array, Array, Array]:
            begun, finite = gamma > 0, jnp.isfinite(n)
            local = begun & (s.count >= warmup_steps)
            size, most = jnp.where(local, n, whole), jnp.where(local, lambda_rel * gamma, lambda_abs)
            shrink = finite & jnp.isfinite(size) & (size > most)
            h = jnp.where(shrink, most / jnp.where(shrink, size, 1), 1)
            least = jnp.where(begun, jnp.minimum(gamma, h * n), h * n)
            new = jnp.where(local, ema(h * n, gamma, beta), least)
            return h * g, jnp.where(finite & (n > 0), new, gamma), h

        us, gammas, hs = each_of(3, leaf, g, sizes, s.mean_norm)
        return us, s._replace(mean_norm=gammas, factor=hs)

    return treewise(
        init, update, needs_params=False, like_params=False, told=["global_norm"], traits=[Trait.CLIPS]
    )
