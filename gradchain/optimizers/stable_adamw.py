"""StableAdamW: AdamW that takes smaller steps where the second moment has not yet seen the gradient."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..core import POSITIVE, Trait, cast, chain, transformation, treewise
from ..core.lists import each_of
from ..core.norms import sum_sq_of
from ..core.numerics import abs_sq, accumulator_like, debias, ema, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decay_of, decays, is_zero


class ScaleByStableAdamState(NamedTuple):
    """State of `scale_by_stable_adam`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; first moment
    nu: Params  # like |params|, at least float32, or nu_dtype; second moment
    rms: Params  # f32[] for each array; root mean square of the last g / sqrt(v')

    @property
    def measured(self) -> dict[str, Array]:
        """What `measurements` finds here: the largest root mean square of all arrays."""
        found = [cast(jnp.asarray(x), jnp.float32) for x in jax.tree.leaves(self.rms)]
        return {"stable_adam_rms": functools.reduce(jnp.maximum, found, jnp.zeros([], jnp.float32))}


@transformation(clip_threshold=POSITIVE)
def scale_by_stable_adam(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-6,
    clip_threshold: Hyperparameter = 1.0,
    weight_decay: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    weight_decay_mask: MaskOrFn = None,
    nu_dtype: DTypeLike | None = None,
):
    """Adam's rule whose step is divided, array by array, by how much the gradient exceeds its average.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g|^2;  r = rms(g / max(sqrt(v'), eps));
    u = (m' / (sqrt(v') + eps) + weight_decay p) / max(1, r / clip_threshold).

    Primes: debiased, the same as the paper's debiased decays. Where gradients have become large v lags
    behind, and Adam's steps are too long; r tells. `clip_by_block_rms` after Adam is Adafactor's form: it
    bounds the rms of the step itself, in which m has averaged the large gradient away.

    Args:
        clip_threshold: the r above which steps become smaller, more than 0.
        weight_decay: it is divided too, as in the paper's algorithm 2; the authors' code does not.

    State: `ScaleByStableAdamState(count, mu, nu, rms)`; count, mu and nu are those of `scale_by_adam`.
        `measured`: stable_adam_rms, the largest r of all arrays. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters and there is weight decay.
    Reference: Wortsman et al., 2023, arXiv:2304.13013.

    Example:
        >>> tx, p = gc.scale_by_stable_adam(b1=0.0, b2=0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([1.0, 1.0], [7.0, 1.0]):  # r is of both entries
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0, 1.0]
        [1.093, 0.897]
    """
    decaying = not is_zero(weight_decay)

    def init(ps: list[Array]) -> ScaleByStableAdamState:
        mu, nu = [zeros_like(p, mu_dtype) for p in ps], [accumulator_like(p, nu_dtype) for p in ps]
        return ScaleByStableAdamState(0, mu, nu, [jnp.sum(accumulator_like(p)) for p in ps])

    def update(
        g: list[Array], s: ScaleByStableAdamState, p: list[Array], *, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], ScaleByStableAdamState]:
        def leaf(g: Array, mu: Array, nu: Array, *decayed: Array) -> tuple[Array, Array, Array, Array]:
            mu, nu = ema(g, mu, b1), ema(abs_sq(g), nu, b2)
            root = sqrt(debias(nu, b2, s.count))
            least = jnp.maximum(
                eps, jnp.finfo(root.dtype).tiny
            )  # of the root, not its square: that overflows
            r = sqrt(sum_sq_of(g / jnp.maximum(root, least)) / max(g.size, 1))
            u = debias(mu, b1, s.count) / (root + eps)
            if decayed:
                decay, p = decayed
                u = u + decay * p
            return u / jnp.maximum(1, r / clip_threshold), mu, nu, r

        columns = [decay_of(weight_decay, p, settings), p] if decaying else []
        us, mu, nu, r = each_of(4, leaf, g, s.mu, s.nu, *columns)
        return us, s._replace(mu=mu, nu=nu, rms=r)

    return treewise(
        init,
        update,
        needs_params=decaying,
        like_params=False,
        settings=decays(weight_decay_mask) if decaying else None,
        traits=[Trait.RESCALES],
    )


@transformation(deferred=True, clip_threshold=POSITIVE)
def stable_adamw(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.99,
    eps: ScalarOrSchedule = 1e-6,
    clip_threshold: ScalarOrSchedule = 1.0,
    weight_decay: ScalarOrSchedule = 1e-2,
    mu_dtype: DTypeLike | None = None,
    *,
    weight_decay_mask: MaskOrFn = None,
    nu_dtype: DTypeLike | None = None,
):
    """StableAdamW: p = p - learning_rate / max(1, r) (m' / (sqrt(v') + eps) + weight_decay p).

    m' and v' are Adam's, and r, a number for each array, is the root mean square of g / sqrt(v'): where
    gradients have become larger, steps are smaller until v knows. The moments still take a spike whole, and
    a b2 near 1 forgets it late: against single huge gradients clip them too. See `scale_by_stable_adam`.

    Args:
        b1, b2, eps, clip_threshold: see `scale_by_stable_adam`.
        weight_decay: divided by max(1, r) too. The authors train CLIP with 0.2.

    State: a chain's: `ScaleByStableAdamState`, the learning rate's. Memory: 2 x the parameters.
    Reference: Wortsman et al., 2023, Stable and low-precision training for large-scale vision-language
        models, arXiv:2304.13013.

    Example:
        >>> tx, p = gc.stable_adamw(0.5, b1=0.0, b2=0.5, weight_decay=0.0), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (1.0, 7.0):  # r^2 = 49 / 33: the second step is 0.5, as v lags behind
        ...     p, state = tx.step(jnp.array([-g]), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [0.5]
        [1.0]
    """
    rule = (b1, b2, eps, clip_threshold, weight_decay, mu_dtype)
    return chain(
        scale_by_stable_adam(*rule, weight_decay_mask=weight_decay_mask, nu_dtype=nu_dtype),
        scale_by_learning_rate(learning_rate),
    )
