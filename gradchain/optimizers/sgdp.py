"""SGDP: momentum whose steps do not lengthen scale-invariant weights."""

from collections.abc import Sequence

import jax.numpy as jnp

from ..core import CLOSED_UNIT, NON_NEGATIVE, chain, transformation, treewise
from ..core.lists import each_of
from ..core.numerics import zeros_like
from ..core.types import Array, DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms import TraceState, scale_by_learning_rate
from ..transforms.decay import decay_of, decays
from ..transforms.tangent import along_sphere


@transformation(momentum=CLOSED_UNIT, dampening=CLOSED_UNIT, delta=NON_NEGATIVE, wd_ratio=NON_NEGATIVE)
def scale_by_sgdp(
    momentum: Numeric = 0.9,
    dampening: Numeric = 0.0,
    eps: Numeric = 1e-8,
    delta: Numeric = 0.1,
    wd_ratio: Numeric = 0.1,
    weight_decay: Numeric = 0.0,
    accumulator_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    weight_decay_mask: MaskOrFn = None,
):
    """Momentum, without its part along weights that seem to be scale-invariant.

    m = momentum m + (1 - dampening) g;  a = g + momentum m with `nesterov`, else m. Arrays of one axis or
    none: u = a + weight_decay / (1 - momentum) p; others as in `scale_by_adamp`.

    Args:
        momentum: decay of the sum, in [0, 1).
        dampening: in [0, 1].
        eps: added to norms.
        delta, wd_ratio: see `scale_by_adamp`.
        weight_decay: added to the step, divided by 1 - momentum, as a multiple of the parameters.
        accumulator_dtype: dtype of the sum, by default the parameter's.

    State: `TraceState(trace)`. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Heo et al., 2020, arXiv:2006.08217.

    Example:
        >>> tx, p = gc.scale_by_sgdp(momentum=0.0), jnp.array([[3.0], [4.0]])
        >>> u, _ = tx.update(jnp.array([[4.0], [-2.95]]), tx.init(p), p)
        >>> [[round(x, 3) for x in row] for row in u.tolist()]  # orthogonal to p, as g almost is
        [[3.976], [-2.982]]
    """

    def init(ps: list[Array]) -> TraceState:
        return TraceState(trace=[zeros_like(p, accumulator_dtype) for p in ps])

    def update(
        g: list[Array], s: TraceState, p: list[Array], *, settings: Sequence[bool] = ()
    ) -> tuple[list[Array], TraceState]:
        def leaf(g: Array, m: Array, p: Array, decay: Array) -> tuple[Array, Array]:
            m = momentum * m + (1 - dampening) * g
            a = g + momentum * m if nesterov else m
            if p.ndim < 2:
                return a + decay * p, m
            a, changed = along_sphere(a, g, p, delta, eps)
            return a + decay * jnp.where(changed, wd_ratio, 1) * p, m

        decay = decay_of(weight_decay / (1 - momentum), p, settings)
        u, trace = each_of(2, leaf, g, s.trace, p, decay)
        return u, s._replace(trace=trace)

    return treewise(init, update, needs_params=True, settings=decays(weight_decay_mask))


@transformation(momentum=CLOSED_UNIT, dampening=CLOSED_UNIT, delta=NON_NEGATIVE, wd_ratio=NON_NEGATIVE)
def sgdp(
    learning_rate: ScalarOrSchedule,
    momentum: Numeric = 0.9,
    dampening: Numeric = 0.0,
    eps: Numeric = 1e-8,
    delta: Numeric = 0.1,
    wd_ratio: Numeric = 0.1,
    weight_decay: Numeric = 0.0,
    accumulator_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    weight_decay_mask: MaskOrFn = None,
):
    """SGDP: SGD with momentum, whose steps keep the length of weights that seem to be scale-invariant.

    Args:
        learning_rate: as for SGD with momentum.
        momentum, dampening, eps, delta, wd_ratio, weight_decay, accumulator_dtype, nesterov: see
            `scale_by_sgdp`.

    State: a chain's: `TraceState`, the learning rate's. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Heo et al., 2020, AdamP: Slowing Down the Slowdown for Momentum Optimizers on Scale-invariant
        Weights, arXiv:2006.08217.

    Example:
        >>> tx, p = gc.sgdp(1.0, momentum=0.0, nesterov=False), jnp.array([[1.0], [0.0]])
        >>> p, _ = tx.step(jnp.array([[0.05], [1.0]]), tx.init(p), p)
        >>> [[round(x, 3) for x in row] for row in p.tolist()]  # without the 0.05 along p
        [[1.0], [-1.0]]
    """
    rule = scale_by_sgdp(
        momentum,
        dampening,
        eps,
        delta,
        wd_ratio,
        weight_decay,
        accumulator_dtype,
        nesterov=nesterov,
        weight_decay_mask=weight_decay_mask,
    )
    return chain(rule, scale_by_learning_rate(learning_rate))
