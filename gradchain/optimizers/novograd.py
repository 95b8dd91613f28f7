"""NovoGrad: momentum of gradients, each array normalized on its own."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ..core import chain, transformation, treewise
from ..core.lists import each, each_of
from ..core.numerics import abs_sq, accumulator_like, ema, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, ScalarOrSchedule
from ..transforms.decay import decay_of, decays, is_zero
from ..transforms.scaling import scale_by_learning_rate


class ScaleByNovogradState(NamedTuple):
    """State of `scale_by_novograd`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; momentum
    nu: Params  # f32[] for each array, or nu_dtype; moving average of its squared norm


@transformation
def scale_by_novograd(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.25,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    weight_decay: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """Momentum of gradients, each divided by its array's averaged norm.

    v = b2 v + (1 - b2) |g|^2, from v = |g|^2 at the first step;
    m = b1 m + g / (sqrt(v + eps_root) + eps) + weight_decay p;  u = m.

    Args:
        b1, b2: decays of the momentum and of the squared norm, in [0, 1).
        weight_decay: added to the momentum, as a multiple of the parameters.
        nu_dtype: dtype of the squared norms, by default real and at least float32.

    State: `ScaleByNovogradState(count, mu, nu)`. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters while there is decay.
    Reference: Ginsburg et al., 2019, arXiv:1905.11286.

    Example:
        >>> tx, p = gc.scale_by_novograd(b1=0.5), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, 4.0], [0.0, 0.0]):  # g / |g|, and momentum
        ...     u, state = tx.update(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in u.tolist()])
        [0.6, 0.8]
        [0.3, 0.4]
    """
    decaying = not is_zero(weight_decay)

    def init(ps: list[Array]) -> ScaleByNovogradState:
        return ScaleByNovogradState(
            count=0,
            mu=[zeros_like(p, mu_dtype) for p in ps],
            nu=[jnp.sum(accumulator_like(p, nu_dtype)) for p in ps],
        )

    def update(
        g: list[Array], s: ScaleByNovogradState, p: list[Array], *, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], ScaleByNovogradState]:
        def leaf(g: Array, mu: Array, nu: Array) -> tuple[Array, Array]:
            square = jnp.sum(abs_sq(g))
            nu = jnp.where(s.count == 1, square, ema(square, nu, b2))
            root = sqrt(nu + eps_root) + eps
            return b1 * mu + g / jnp.where(root > 0, root, 1), nu

        mu, nu = each_of(2, leaf, g, s.mu, s.nu)
        if decaying:
            decay = decay_of(weight_decay, p, settings)
            mu = each(lambda mu, p, decay: mu + decay * p, mu, p, decay)
        return mu, s._replace(mu=mu, nu=nu)

    where = decays(weight_decay_mask) if decaying else None
    return treewise(init, update, needs_params=decaying, like_params=False, settings=where)


@transformation
def novograd(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.25,
    eps: ScalarOrSchedule = 1e-6,
    eps_root: ScalarOrSchedule = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    *,
    mu_dtype: DTypeLike | None = None,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """NovoGrad: m = b1 m + g / (sqrt(v + eps_root) + eps) + weight_decay p;  p = p - learning_rate m.

    v is a moving average of |g|^2, one number for each array, see `scale_by_novograd`.

    Args:
        b1, b2, weight_decay, nu_dtype: see `scale_by_novograd`.

    State: a chain's: `ScaleByNovogradState`, then the learning rate's. Memory: 1 x the parameters.
    Reference: Ginsburg et al., 2019, Stochastic Gradient Methods with Layer-wise Adaptive Moments for
        Training of Deep Networks, arXiv:1905.11286.

    Example:
        >>> tx, p = gc.novograd(0.5, b1=0.0), jnp.array([0.0, 0.0])
        >>> state = tx.init(p)
        >>> for g in ([3.0, -4.0], [3.0, -4.0]):  # 0.5 g / |g|, one norm for the array
        ...     p, state = tx.step(jnp.array(g), state, p)
        ...     print([round(x, 3) for x in p.tolist()])
        [-0.3, 0.4]
        [-0.6, 0.8]
    """
    settings = (b1, b2, eps, eps_root, weight_decay, mu_dtype)
    return chain(
        scale_by_novograd(*settings, nu_dtype=nu_dtype, weight_decay_mask=weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
