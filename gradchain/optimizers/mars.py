"""MARS: steps by gradients whose noise is reduced by the last gradient."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from ..core import FINITE, UNIT, Trait, chain, leafwise, nearest, transformation
from ..core.numerics import abs_sq, accumulator_like, debias, ema, norm, one_minus, sqrt, zeros_like
from ..core.types import (
    AddedNumber,
    Array,
    Count,
    DTypeLike,
    Hyperparameter,
    MaskOrFn,
    Params,
    PyTree,
    ScalarOrSchedule,
)
from ..transforms import partition, scale_by_adam, scale_by_learning_rate
from ..transforms.decay import decoupled
from ..transforms.newton_schulz import orthogonalized
from ..transforms.polynomials import STANDARD

Form = Literal["adamw", "lion", "shampoo"]
FORMS = ("adamw", "lion", "shampoo")


class ScaleByMarsState(NamedTuple):
    """State of `scale_by_mars`."""

    count: Count  # i32[]  steps taken
    mu: Params  # like params, or mu_dtype; moving average of corrected gradients
    nu: Params  # like |params|, at least float32, or nu_dtype; of their squares; [1] where not in use
    last_gradient: Params  # like params; 0 before the first step


@transformation(gamma=FINITE)
def scale_by_mars(
    b1: Hyperparameter = 0.95,
    b2: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    gamma: Hyperparameter = 0.025,
    form: Form = "adamw",
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """A rule on gradients corrected by their change: c = g + gamma b1 / (1 - b1) (g - last g).

    c is divided by max(1, |c|), array by array;  m = b1 m + (1 - b1) c, and v likewise of |c|^2.
    "adamw": u = m' / (sqrt(v') + eps), debiased;  "lion": u = sign(m);
    "shampoo": u = sqrt(max(1, columns / rows)) NS(m / (1 - b1)) for matrices, see `scale_by_muon`.

    Args:
        gamma: how much of the change counts; 0 for none.
        form: "adamw", "lion" or "shampoo". In the last, arrays with other than two axes are as in "adamw".

    State: `ScaleByMarsState(count, mu, nu, last_gradient)`. Memory: 3 x the parameters, 2 x where v is
        not in use.
    Raises: ValueError for an unknown form.
    Reference: Yuan et al., 2024, arXiv:2411.10438.

    Example:
        >>> tx = gc.scale_by_mars(b1=0.5, gamma=2.0, form="lion")
        >>> state = tx.init(jnp.zeros((1, 1)))
        >>> for g in (4.0, 3.0, 1.0):  # then c = 1 + 2 (1 - 3), and the sign changes before the gradient's
        ...     u, state = tx.update(jnp.array([[g]]), state)
        ...     print(u.tolist())
        [[1.0]]
        [[1.0]]
        [[-1.0]]
    """
    if form not in FORMS:
        raise ValueError(
            f"scale_by_mars: form must be one of {', '.join(map(repr, FORMS))}, received {form!r}."
            f"{nearest(str(form), FORMS)}"
        )

    def has_squares(x: Array) -> bool:
        return form == "adamw" or (form == "shampoo" and jnp.ndim(x) != 2)

    def init(p: Array) -> ScaleByMarsState:
        nu = accumulator_like(p, nu_dtype)
        nu = nu if has_squares(p) else jnp.zeros((1,), nu.dtype)
        return ScaleByMarsState(count=0, mu=zeros_like(p, mu_dtype), nu=nu, last_gradient=zeros_like(p))

    def update(g: Array, s: ScaleByMarsState, p: Array | None) -> tuple[Array, ScaleByMarsState]:
        c = g + gamma * b1 / one_minus(b1) * (g - s.last_gradient)
        c = c / jnp.maximum(1.0, norm(c))
        mu = ema(c, s.mu, b1)
        s = s._replace(mu=mu, last_gradient=g)
        if has_squares(g):
            nu = ema(abs_sq(c), s.nu, b2)
            u = debias(mu, b1, s.count) / (sqrt(debias(nu, b2, s.count)) + eps)
            return u, s._replace(nu=nu)
        return (jnp.sign(mu) if form == "lion" else _orthogonal(mu / one_minus(b1), eps)), s

    return leafwise(init, update, like_params=False, traits=[Trait.RESCALES])


def _orthogonal(m: Array, eps: Hyperparameter) -> Array:
    """A matrix (inputs, outputs) with singular values near sqrt(max(1, outputs / inputs))."""
    rows, columns = m.shape
    wide = m if rows <= columns else m.T
    u = orthogonalized(wide[None], jnp.asarray(STANDARD, float), 5, eps=eps)[0]
    return max(1.0, columns / max(rows, 1)) ** 0.5 * (u if rows <= columns else u.T)


@transformation(
    gamma=FINITE, adam_b1=UNIT, adam_b2=UNIT, adam_weight_decay=FINITE, adam_learning_rate=FINITE
)
def mars(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.95,
    b2: ScalarOrSchedule = 0.99,
    eps: ScalarOrSchedule = 1e-8,
    gamma: ScalarOrSchedule = 0.025,
    form: Form = "adamw",
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
    optimize_1d: bool = False,
    adam_b1: ScalarOrSchedule = 0.9,
    adam_b2: ScalarOrSchedule = 0.95,
    adam_weight_decay: ScalarOrSchedule = 0.1,
    adam_learning_rate: ScalarOrSchedule | None = None,
):
    """MARS: p = p - learning_rate (u + weight_decay p), with the rule's u of corrected gradients.

    Args:
        learning_rate: 3e-3 is usual.
        b1, b2, eps, gamma, form: see `scale_by_mars`.
        weight_decay, weight_decay_mask: decoupled weight decay of what MARS optimizes.
        optimize_1d: True takes MARS for arrays with fewer than two axes too, else AdamW.
        adam_b1, adam_b2, adam_weight_decay: for that AdamW.
        adam_learning_rate: its learning rate, by default `learning_rate`.

    State: `PartitionState` of "mars" and "adam"; with `optimize_1d` a chain's: `ScaleByMarsState`, the
        learning rate's. Memory: 3 x the parameters, 2 x the matrices in the forms "lion" and "shampoo".
    Raises: ValueError for an unknown form.
    Reference: Yuan et al., 2024, MARS: Unleashing the Power of Variance Reduction for Training Large
        Models, arXiv:2411.10438.

    Example:
        >>> tx, p = gc.mars(0.5, optimize_1d=True), jnp.array([0.0])
        >>> p, _ = tx.step(jnp.array([3.0]), tx.init(p), p)
        >>> [round(x, 3) for x in p.tolist()]  # at first, as Adam
        [-0.5]
    """
    corrected = chain(
        scale_by_mars(b1, b2, eps, gamma, form, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    if optimize_1d:
        return corrected
    rest = chain(
        scale_by_adam(adam_b1, adam_b2, eps, mu_dtype=mu_dtype, nu_dtype=nu_dtype),
        *decoupled(adam_weight_decay, None),
        scale_by_learning_rate(learning_rate if adam_learning_rate is None else adam_learning_rate),
    )

    def labels(params: Params) -> PyTree:
        return jax.tree.map(lambda p: "mars" if jnp.ndim(p) >= 2 else "adam", params)

    return partition({"mars": corrected, "adam": rest}, labels)
