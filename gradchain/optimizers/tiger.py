"""Tiger: steps of one size in units of the parameter, along the signs of a momentum."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..core import UNIT, Trait, chain, transformation, treewise
from ..core.lists import each, each_with
from ..core.numerics import abs_sq, ema, sqrt, zeros_like
from ..core.types import Array, Count, DTypeLike, Hyperparameter, MaskOrFn, Params, PyTree, ScalarOrSchedule
from ..transforms import scale_by_learning_rate
from ..transforms.decay import decays


class ScaleByTigerState(NamedTuple):
    """State of `scale_by_tiger`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of gradients


class _Kind(NamedTuple):
    """What Tiger does to an array."""

    vector: bool
    per_row: bool
    decays: bool


@transformation(beta=UNIT)
def scale_by_tiger(
    beta: Hyperparameter = 0.965,
    weight_decay: Hyperparameter = 0.01,
    embeddings: MaskOrFn = None,
    mu_dtype: DTypeLike | None = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """The sign of an average of gradients, times the root mean square of the parameter.

    m = beta m + (1 - beta) g;  u = rms(p) (sign(m) + weight_decay p) for arrays of two axes or more,
    u = sign(m) / 2 for vectors and scalars, which do not decay.

    A matrix of zeros stays so: begin elsewhere. A complex number's sign is its direction.

    Args:
        beta: decay of the average, in [0, 1).
        weight_decay: a share of the parameter for each step of its own size.
        embeddings: where the root mean square is that of each row (along the last axis) and not of the
            array: a tree of booleans, or a function from the parameters to one; None for nowhere.

    State: `ScaleByTigerState(count, mu)`. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Su, 2023, Tiger: A Tight-fisted Optimizer.

    Example:
        >>> tx = gc.scale_by_tiger(weight_decay=0.0)
        >>> p, g = [jnp.array([[1.0, 7.0]]), jnp.ones(2)], [jnp.array([[3.0, -0.1]]), jnp.ones(2)]
        >>> matrix, vector = tx.update(g, tx.init(p), p)[0]
        >>> [round(x, 3) for x in matrix[0].tolist()], vector.tolist()  # rms(p) = 5; 1 / 2 for vectors
        ([5.0, -5.0], [0.5, 0.5])
    """

    def kinds(params: Params) -> PyTree:
        def where(mask: MaskOrFn, default: bool) -> PyTree:
            found = decays(mask)
            return jax.tree.map(lambda _: default, params) if found is None else found(params)

        def kind(p: Array, per_row: bool, decay: bool) -> _Kind:
            return _Kind(jnp.ndim(p) < 2, per_row, decay)

        return jax.tree.map(kind, params, where(embeddings, False), where(weight_decay_mask, True))

    def init(ps: list[Array]) -> ScaleByTigerState:
        return ScaleByTigerState(count=0, mu=[zeros_like(p, mu_dtype) for p in ps])

    def update(
        g: list[Array], s: ScaleByTigerState, p: list[Array], *, settings: Sequence[_Kind]
    ) -> tuple[list[Array], ScaleByTigerState]:
        def step(kind: _Kind, mu: Array, p: Array) -> Array:
            if kind.vector:
                return 0.5 * jnp.sign(mu)
            size = sqrt(jnp.mean(abs_sq(p), axis=-1 if kind.per_row else None, keepdims=True))
            return size * (jnp.sign(mu) + weight_decay * p if kind.decays else jnp.sign(mu))

        mu = each(lambda g, mu: ema(g, mu, beta), g, s.mu)
        return each_with(step, settings, mu, p), s._replace(mu=mu)

    return treewise(init, update, settings=kinds, traits=[Trait.RESCALES])


@transformation(beta=UNIT)
def tiger(
    learning_rate: ScalarOrSchedule,
    beta: ScalarOrSchedule = 0.965,
    weight_decay: ScalarOrSchedule = 0.01,
    embeddings: MaskOrFn = None,
    mu_dtype: DTypeLike | None = None,
    *,
    weight_decay_mask: MaskOrFn = None,
):
    """Tiger: p = p - learning_rate rms(p) (sign(m) + weight_decay p), m a moving average of gradients.

    Vectors and scalars move by half of the learning rate, and do not decay.

    Args:
        learning_rate: the authors' default is 1e-3.
        beta, weight_decay, embeddings: see `scale_by_tiger`.

    State: a chain's: `ScaleByTigerState(count, mu)`, the learning rate's. Memory: 1 x the parameters.
    Raises: ValueError if `update` gets no parameters.
    Reference: Su, 2023, Tiger: A Tight-fisted Optimizer.

    Example:
        >>> tx, p = gc.tiger(0.5), jnp.array([1.0, 1.0])
        >>> p, state = tx.step(jnp.array([3.0, -0.01]), tx.init(p), p)
        >>> p.tolist()  # half of the rate, as it is a vector
        [0.75, 1.25]
    """
    return chain(
        scale_by_tiger(beta, weight_decay, embeddings, mu_dtype, weight_decay_mask=weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
