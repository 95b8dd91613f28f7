"""After orthogonalization: second moments of each neuron, or of each entry."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from ..core import UNIT, GradientTransformationExtraArgs, MatrixView, transformation, treewise
from ..core.lists import each_with
from ..core.matrices import each_norm
from ..core.numerics import abs_sq, accumulator_like, ema, sqrt, weight_after
from ..core.types import Array, Count, Hyperparameter, Params
from .dimension_numbers import WeightDimNumOrFn
from .scale_by_muon import matrix_views


class ScaleByNormuonState(NamedTuple):
    """State of `scale_by_normuon` and `scale_by_adamuon`."""

    count: Count  # i32[]  steps taken
    nu: Params  # at least float32; mean squares: [matrices, 1, columns], or of AdaMuon like |params|


@transformation(b2=UNIT)
def scale_by_normuon(
    b2: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-10,
    *,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Divides the columns of every matrix by the root of their mean squares, and keeps its norm.

    v = b2 v + (1 - b2) mean over rows of |g|^2;  w = g / (sqrt(v) + eps);  u = w |g| / (|w| + eps). It
    follows `scale_by_muon`: columns are the outputs, so each neuron's step is as long as another's.

    Args:
        b2: decay of v, in [0, 1).
        eps: added to roots and norms, at least 0.
        weight_dimension_numbers: as in `scale_by_muon`.

    State: `ScaleByNormuonState(count, nu)`. Memory: one number for each column.
    Reference: Li et al., 2025, NorMuon: Making Muon more efficient and scalable, arXiv:2510.05491.

    Example:
        >>> tx, g = gc.scale_by_normuon(), jnp.array([[3.0, 0.0], [0.0, 4.0]])
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> [[round(x, 3) for x in row] for row in u.tolist()]  # equal columns, and the norm is still 5
        [[3.536, 0.0], [0.0, 3.536]]
    """

    def squares(view: MatrixView, g: Array) -> Array:
        return jnp.mean(abs_sq(view.stack(g)), axis=1, keepdims=True)

    def scaled(view: MatrixView, g: Array, v: Array, count: Count) -> Array:
        x = view.stack(g)
        w = x / (sqrt(v) + eps)
        return view.unstack(w * each_norm(x) / (each_norm(w) + eps))

    def begun(view: MatrixView, p: Any) -> Array:
        matrices, _, columns = view.shape
        return jnp.zeros((matrices, 1, columns), accumulator_like(p).dtype)

    return _after_muon("scale_by_normuon", begun, squares, scaled, b2, weight_dimension_numbers)


@transformation(b2=UNIT)
def scale_by_adamuon(
    b2: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-8,
    rms: Hyperparameter = 0.2,
    correct_bias: bool = False,
    *,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
):
    """Divides every entry by the root of its mean square, and gives each matrix one root mean square.

    v = b2 v + (1 - b2) |g|^2;  w = g / (sqrt(v) + eps);  u = w rms sqrt(rows columns) / (|w| + eps). It
    follows `scale_by_muon`.

    Args:
        b2: decay of v, in [0, 1).
        eps: added to roots and norms, at least 0.
        rms: root mean square of the updates of a matrix; 0.2 is as in Adam.
        correct_bias: divides v by 1 - b2^t.
        weight_dimension_numbers: as in `scale_by_muon`.

    State: `ScaleByNormuonState(count, nu)`. Memory: 1 x the parameters.
    Reference: Si, Zhang and Shen, 2025, AdaMuon: Adaptive Muon Optimizer, arXiv:2507.11005.

    Example:
        >>> tx, g = gc.scale_by_adamuon(rms=0.5), jnp.array([[9.0, -1.0], [3.0, 2.0]])
        >>> u, _ = tx.update(g, tx.init(g), g)
        >>> [[round(x, 2) for x in row] for row in u.tolist()]  # at first the signs, of this rms
        [[0.5, -0.5], [0.5, 0.5]]
    """

    def squares(view: MatrixView, g: Array) -> Array:
        return abs_sq(g)

    def scaled(view: MatrixView, g: Array, v: Array, count: Count) -> Array:
        bias = weight_after(count, b2) if correct_bias else 1
        w = view.stack(g / (sqrt(v / bias) + eps))
        _, rows, columns = view.shape
        return view.unstack(w * rms * (rows * columns) ** 0.5 / (each_norm(w) + eps))

    def begun(view: MatrixView, p: Any) -> Array:
        return accumulator_like(p)

    return _after_muon("scale_by_adamuon", begun, squares, scaled, b2, weight_dimension_numbers)


def _after_muon(
    name: str,
    begun: Callable[[MatrixView, Any], Array],
    squares: Callable[[MatrixView, Array], Array],
    scaled: Callable[[MatrixView, Array, Array, Count], Array],
    b2: Any,
    numbers: WeightDimNumOrFn | None,
) -> GradientTransformationExtraArgs:
    """A rule that averages squares of orthogonalized matrices and divides by them."""

    def init(ps: list[Any], *, settings: Sequence[MatrixView]) -> ScaleByNormuonState:
        return ScaleByNormuonState(
            count=0, nu=[begun(view, p) for view, p in zip(settings, ps, strict=True)]
        )

    def update(
        g: list[Array], s: ScaleByNormuonState, p: list[Array], *, settings: Sequence[MatrixView]
    ) -> tuple[list[Array], ScaleByNormuonState]:
        nu = each_with(lambda view, g, v: ema(squares(view, g), v, b2), settings, g, s.nu)
        u = each_with(lambda view, g, v: scaled(view, g, v, s.count), settings, g, nu)
        return u, s._replace(nu=nu)

    views = matrix_views(name, numbers)
    return treewise(init, update, name=name, needs_params=False, like_params=False, settings=views)
