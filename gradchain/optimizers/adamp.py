"""AdamP: Adam whose steps do not lengthen scale-invariant weights."""

from collections.abc import Sequence

import jax.numpy as jnp

from ..core import NON_NEGATIVE, Trait, chain, transformation, treewise
from ..core.lists import each_of
from ..core.numerics import abs_sq, accumulator_like, debias, ema, one_minus, sqrt, zeros_like
from ..core.types import Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByAdamState, scale_by_learning_rate
from ..transforms.decay import decay_of, decays
from ..transforms.tangent import along_sphere


@transformation(delta=NON_NEGATIVE, wd_ratio=NON_NEGATIVE)
def scale_by_adamp(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    delta: Hyperparameter = 0.1,
    wd_ratio: Hyperparameter = 0.1,
    weight_decay: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """Adam's step, without its part along weights that seem to be scale-invariant.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) |g|^2;  a = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps).
    Arrays of one axis or none: u = a + weight_decay p. So too for others, but for those where the largest
    |cos(p, g)| of the channels (the last axis counts them) is below delta / sqrt(entries of a channel), or
    that of the whole array below delta / sqrt(entries): there u = P a + wd_ratio weight_decay p, where P
    takes away the part along p, of each channel or of the whole.

    Args:
        delta: how orthogonal is orthogonal, at least 0.
        wd_ratio: the share of the decay that such weights have, at least 0.
        weight_decay: added to the step as a multiple of the parameters.
        nesterov: b1 m + (1 - b1) g in place of m, divided as m is.

    State: `ScaleByAdamState(count, mu, nu)`. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Heo et al., 2020, arXiv:2006.08217.

    Example:
        >>> tx, p = gc.scale_by_adamp(), jnp.array([[2.0], [1.0]])
        >>> u, _ = tx.update(jnp.array([[1.0], [-2.0]]), tx.init(p), p)
        >>> [[round(x, 3) for x in row] for row in u.tolist()]  # Adam's [1, -1], without its part along p
        [[0.6], [-1.2]]
    """

    def init(ps: list[Array]) -> ScaleByAdamState:
        mu = [zeros_like(p, mu_dtype) for p in ps]
        return ScaleByAdamState(count=0, mu=mu, nu=[accumulator_like(p, nu_dtype) for p in ps])

    def update(
        g: list[Array], s: ScaleByAdamState, p: list[Array], *, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], ScaleByAdamState]:
        def leaf(g: Array, m: Array, v: Array, p: Array, decay: Array) -> tuple[Array, Array, Array]:
            m, v = ema(g, m, b1), ema(abs_sq(g), v, b2)
            top = b1 * m + one_minus(b1) * g if nesterov else m
            a = debias(top, b1, s.count) / (sqrt(debias(v, b2, s.count)) + eps)
            if p.ndim < 2:
                return a + decay * p, m, v
            a, changed = along_sphere(a, g, p, delta, eps)
            return a + decay * jnp.where(changed, wd_ratio, 1) * p, m, v

        u, mu, nu = each_of(3, leaf, g, s.mu, s.nu, p, decay_of(weight_decay, p, settings))
        return u, s._replace(mu=mu, nu=nu)

    where = decays(weight_decay_mask)
    return treewise(init, update, needs_params=True, settings=where, traits=[Trait.RESCALES])


@transformation(delta=NON_NEGATIVE, wd_ratio=NON_NEGATIVE)
def adamp(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    delta: ScalarOrSchedule = 0.1,
    wd_ratio: ScalarOrSchedule = 0.1,
    weight_decay: ScalarOrSchedule = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    nu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
):
    """AdamP: AdamW, whose steps keep the length of weights that seem to be scale-invariant.

    Momentum lengthens such weights, which makes their effective steps shrink too early. Channels are
    counted by the last axis, as in Flax's kernels; PyTorch's have them first.

    Args:
        learning_rate: as for Adam; 1e-3 is the authors' default.
        b1, b2, eps, delta, wd_ratio, weight_decay, nesterov: see `scale_by_adamp`.

    State: a chain's: `ScaleByAdamState`, the learning rate's. Memory: 2 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Heo et al., 2020, AdamP: Slowing Down the Slowdown for Momentum Optimizers on Scale-invariant
        Weights, arXiv:2006.08217.

    Example:
        >>> tx, p = gc.adamp(0.5), jnp.array([[2.0], [1.0]])
        >>> p, _ = tx.step(jnp.array([[1.0], [-2.0]]), tx.init(p), p)
        >>> [[round(x, 3) for x in row] for row in p.tolist()]  # the step, [-0.3, 0.6], is orthogonal to p
        [[1.7], [1.6]]
    """
    rule = scale_by_adamp(
        b1,
        b2,
        eps,
        delta,
        wd_ratio,
        weight_decay,
        mu_dtype,
        nesterov=nesterov,
        nu_dtype=nu_dtype,
        weight_decay_mask=weight_decay_mask,
    )
    return chain(rule, scale_by_learning_rate(learning_rate))
