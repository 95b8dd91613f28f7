"""Scion: steps to the far side of a ball, whose norm each layer chooses."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    LeafError,
    MatrixView,
    Range,
    Trait,
    by_shape,
    chain,
    init_empty_state,
    nearest,
    transformation,
    treewise,
)
from ..core.numerics import abs_sq, sqrt
from ..core.types import (
    AddedNumber,
    Array,
    DTypeLike,
    EmptyState,
    Hyperparameter,
    MaskOrFn,
    Params,
    PyTree,
    ScalarOrSchedule,
)
from ..transforms import MuonDimensionNumbers, add_decayed_weights, ema, scale_by_learning_rate
from ..transforms.choices import choices, of_each
from ..transforms.decay import decoupled
from ..transforms.newton_schulz import orthogonalized
from ..transforms.polynomials import STANDARD

NORMS = ("auto", "spectral", "spectral_conv", "sign", "row", "column", "bias_rms")
NewtonSchulz = Callable[[Array], Array]


class _Ball(NamedTuple):
    """The norm of one array, and the ball's radius."""

    norm: str
    radius: float
    view: MatrixView | None  # as matrices (inputs, outputs), if the norm is spectral


def _ball(p: Any, norm: Any, radius: Any) -> _Ball:
    """The ball of a parameter.

    Raises: LeafError for an unknown norm, one for arrays of more axes, or a radius that is not positive.
    """
    ndim = jnp.ndim(p)
    if norm not in NORMS:
        raise LeafError(
            "scale_by_scion",
            f"the norm of {{leaf}} must be one of {', '.join(map(repr, NORMS))}, received {norm!r}."
            f"{nearest(str(norm), NORMS)}",
        )
    if isinstance(radius, bool) or not isinstance(radius, (int, float)) or not 0 < radius < math.inf:
        raise LeafError(
            "scale_by_scion", f"the radius of {{leaf}} must be a number more than 0, received {radius!r}."
        )
    if norm == "auto":
        norm = "bias_rms" if ndim < 2 else "spectral" if ndim == 2 else "spectral_conv"
    if ndim < 2 and norm in ("spectral", "spectral_conv", "row", "column"):
        raise LeafError(
            "scale_by_scion",
            f"{{leaf}} has shape {jnp.shape(p)}, but its norm {norm!r} needs two axes, of inputs and of "
            "outputs. Vectors take 'bias_rms' or 'sign'.",
        )
    view = None
    if norm.startswith("spectral"):
        rows = tuple(range(ndim - 1)) if norm == "spectral_conv" else -2
        view = MatrixView.of("scale_by_scion", jnp.shape(p), MuonDimensionNumbers(rows, -1))
    return _Ball(norm, float(radius), view)


def _length(m: Array, axis: int) -> Array:
    return sqrt(jnp.sum(abs_sq(m), axis=axis, keepdims=True))


def _far_side(ball: _Ball, m: Array, eps: Hyperparameter) -> Array:
    """The point of the unit ball farthest along `m`, for the norms that are no spectral ones."""
    inputs, outputs = m.shape[-2:] if m.ndim > 1 else (1, m.size)
    if ball.norm == "sign":
        return jnp.sign(m) / max(inputs, 1)
    if ball.norm == "row":
        return m / (_length(m, -2) * inputs**0.5 + eps)
    if ball.norm == "column":
        return m / (_length(m, -1) / max(outputs, 1) ** 0.5 + eps)
    last = max(m.shape[-1], 1) if m.ndim else 1
    return m / ((_length(m, -1) if m.ndim else sqrt(abs_sq(m))) / last**0.5 + eps)


@transformation
def scale_by_scion(
    norm: Any = "auto",
    scale: Hyperparameter = 1.0,
    radii: Any = None,
    eps: Hyperparameter = 1e-8,
    *,
    ns_steps: int = 5,
    ns_dtype: DTypeLike | None = None,
):
    """Replaces each array by the point of a ball farthest along it: u = scale radius lmo(g).

    A kernel is (inputs, outputs). "spectral": sqrt(outputs / inputs) NS(g), see `scale_by_muon`;
    "spectral_conv": the same of a kernel (height, width, inputs, outputs) as one matrix, over height width;
    "sign": sign(g) / inputs;  "row": g / (|g| sqrt(inputs)) for each output;  "column":
    g sqrt(outputs) / |g| for each input;  "bias_rms": g / rms(g).  "auto": "bias_rms" for fewer than two
    axes, "spectral" for two, "spectral_conv" for more. In "spectral" further first axes count matrices.

    Args:
        norm: one of these, a tree of them like the parameters or a prefix of it, a function from the
            parameters to one, or a dict of patterns of names: `{"embed/.*": "column", "head/.*": "sign"}`.
        scale: times all steps.
        radii: numbers, for each parameter, given as norms are; 1 by default and where no pattern matches.
        eps: added to what divides, at least 0.
        ns_steps: how many Newton-Schulz iterations.
        ns_dtype: dtype of the iterations, by default at least float32.

    Rows and columns are those of the authors' (outputs, inputs) matrices. State: `EmptyState`.
    Raises: ValueError, with the path, for an unknown norm, or one that does not fit the array.
    Reference: Pethick et al., 2025, arXiv:2502.07529.

    Example:
        >>> tx, g = gc.scale_by_scion("sign"), jnp.array([[3.0, -1.0], [0.5, -2.0]])
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> u.tolist()  # the sign over the number of inputs
        [[0.5, -0.5], [0.5, -0.5]]
    """
    if isinstance(norm, str) and norm not in NORMS:
        raise ValueError(
            f"scale_by_scion: norm must be one of {', '.join(map(repr, NORMS))}, received {norm!r}."
            f"{nearest(norm, NORMS)}"
        )

    def balls(params: Params) -> PyTree:
        names = choices("scale_by_scion", "norm", norm, params, "auto")
        sizes = choices("scale_by_scion", "radii", 1.0 if radii is None else radii, params, 1.0)
        return of_each("scale_by_scion", _ball, params, names, sizes)

    def update(
        g: list[Array], s: EmptyState, p: list[Array], *, settings: Sequence[_Ball]
    ) -> tuple[list[Array], EmptyState]:
        @jax.jit
        def orthogonal(x: Array) -> Array:
            low = x if ns_dtype is None else x.astype(ns_dtype)
            return orthogonalized(low, jnp.asarray(STANDARD, float), ns_steps, eps=1e-7).astype(x.dtype)

        wide = [ball.view.stack_wide(x) for ball, x in zip(settings, g, strict=True) if ball.view]
        matrices = iter(by_shape(orthogonal, wide))
        us = []
        for ball, x in zip(settings, g, strict=True):
            if ball.view is None:
                us.append(scale * ball.radius * _far_side(ball, x, eps))
                continue
            inputs, outputs, places = x.shape[-2], x.shape[-1], 1
            if ball.norm == "spectral_conv":
                places = math.prod(x.shape[:-2])
            factor = (outputs / max(inputs, 1)) ** 0.5 / max(places, 1)
            us.append(scale * ball.radius * factor * ball.view.unstack_wide(next(matrices)))
        return us, s

    return treewise(init_empty_state, update, needs_params=False, settings=balls, traits=[Trait.RESCALES])


@transformation(momentum=Range("in (0, 1]", lambda x: 0 < x <= 1))
def scion(
    learning_rate: ScalarOrSchedule,
    momentum: ScalarOrSchedule = 1.0,
    norm: Any = "auto",
    scale: ScalarOrSchedule = 1.0,
    radii: Any = None,
    unconstrained: bool = False,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    *,
    eps: ScalarOrSchedule = 1e-8,
    ns_steps: int = 5,
    ns_dtype: DTypeLike | None = None,
):
    """Scion: m = (1 - momentum) m + momentum g;  p = (1 - learning_rate) p - learning_rate u(m).

    u = scale radius lmo(m), see `scale_by_scion`. Parameters that begin in the ball, whose radius is
    scale radius, stay there: it is the Frank-Wolfe method.

    Args:
        learning_rate: in [0, 1]: how far to go to the far side of the ball. 2^-12 is the authors' for
            transformers, with the radii 50 and for the last layer ("sign") 3000.
        momentum: the weight of the new gradient, in (0, 1]; 0.1 is recommended. 1 keeps no average.
        norm, scale, radii, eps, ns_steps, ns_dtype: see `scale_by_scion`.
        unconstrained: True does without the shrinking 1 - learning_rate.
        mu_dtype: dtype of m, by default the parameter's.
        weight_decay: decoupled weight decay, beside that shrinking if there is one.

    State: a chain's: `EmaState` unless momentum is 1, the learning rate's.
    Memory: 1 x the parameters; none where momentum is 1.
    Raises: ValueError, with the path, for an unknown norm, or one that does not fit the array.
    Reference: Pethick et al., 2025, Training Deep Learning Models with Norm-Constrained LMOs,
        arXiv:2502.07529.

    Example:
        >>> tx, p = gc.scion(0.5, norm="sign"), jnp.array([[0.5, -0.5], [0.5, 0.5]])
        >>> p, _ = tx.step(jnp.array([[-9.0, 1.0], [1.0, 1.0]]), tx.init(p), p)
        >>> p.tolist()  # half of p, half of a corner of the ball: never outside
        [[0.5, -0.5], [0.0, 0.0]]
    """
    links: list[Any] = []
    if callable(momentum) or not (isinstance(momentum, (int, float)) and momentum == 1):
        links.append(ema(_rest(momentum), debias=False, accumulator_dtype=mu_dtype))
    links.append(scale_by_scion(norm, scale, radii, eps, ns_steps=ns_steps, ns_dtype=ns_dtype))
    if not unconstrained:
        links.append(add_decayed_weights(1.0))
    links += decoupled(weight_decay, weight_decay_mask)
    return chain(*links, scale_by_learning_rate(learning_rate))


def _rest(momentum: ScalarOrSchedule) -> ScalarOrSchedule:
    """1 less a number or a schedule."""
    return (lambda count: 1 - momentum(count)) if callable(momentum) else 1 - momentum
